# SPDX-License-Identifier: Apache-2.0
"""MIME bundles, display() and clear_output() of a shell without IPython."""

import _husk
from husk_worker import errors, jsonable
from husk_worker.lean import simple_text
from husk_worker.link import here

_METHODS = (
    ("text/html", "_repr_html_"),
    ("text/markdown", "_repr_markdown_"),
    ("image/svg+xml", "_repr_svg_"),
    ("image/png", "_repr_png_"),
    ("application/pdf", "_repr_pdf_"),
    ("image/jpeg", "_repr_jpeg_"),
    ("text/latex", "_repr_latex_"),
    ("application/json", "_repr_json_"),
    ("application/javascript", "_repr_javascript_"),
)


class Formatter:
    """Makes MIME bundles. on_error is called with each exception of an object's own method; the rest goes on."""

    def __init__(self, on_error: object) -> None:
        self._on_error = on_error

    def _call(self, value: object, name: str, *args: object, **kwargs: object) -> object:
        """Result of a method that an object's class (or the object) really has; None without it or when it fails."""
        if isinstance(value, type) or _claims_everything(value):
            return None
        method = getattr(value, name, None)
        if not callable(method):
            return None
        try:
            return method(*args, **kwargs)
        except NotImplementedError:
            return None
        except Exception as error:
            self._on_error(error)
            return None

    def shows_itself(self, value: object) -> bool:
        """Whether the object has displayed itself (`_ipython_display_`)."""
        if isinstance(value, type) or not callable(getattr(value, "_ipython_display_", None)):
            return False
        if _claims_everything(value):
            return False
        try:
            value._ipython_display_()
        except NotImplementedError:
            return False
        except Exception as error:
            self._on_error(error)
        return True

    def text(self, value: object) -> str:
        """text/plain of a value."""
        text = simple_text(value)
        if text is not None:
            return text
        try:
            if type(value) in (list, tuple, dict, set, frozenset):
                import pprint

                return pprint.pformat(value, width=79, compact=False, sort_dicts=False)
            return repr(value)
        except Exception as error:
            self._on_error(error)
            return f"<{type(value).__name__} whose repr() failed>"

    def bundle(self, value: object, include: object = None, exclude: object = None) -> tuple[dict, dict]:
        """(data, metadata) of a value; include, exclude: containers of MIME types or None."""
        data, metadata = {}, {}
        found = self._call(value, "_repr_mimebundle_", include=include, exclude=exclude)
        if isinstance(found, tuple) and len(found) == 2:
            found, metadata = found[0], dict(found[1] or {})
        if isinstance(found, dict):
            data.update(found)
        if "text/plain" not in data:
            data = {"text/plain": self.text(value), **data}
        if type(value).__module__ != "builtins":
            for mime, name in _METHODS:
                if mime in data:
                    continue
                piece = self._call(value, name)
                if isinstance(piece, tuple) and len(piece) == 2:
                    piece, metadata[mime] = piece
                if piece is not None:
                    data[mime] = piece
        if include:
            data = {mime: piece for mime, piece in data.items() if mime in include}
        if exclude:
            data = {mime: piece for mime, piece in data.items() if mime not in exclude}
        return data, metadata


def _claims_everything(value: object) -> bool:
    """Whether an object answers to any attribute name, so that having a method means nothing."""
    try:
        return callable(getattr(value, "_ipython_canary_method_should_not_exist_", None))
    except Exception:
        return True


def send(kind: int, data: dict, metadata: dict, transient: "dict | None" = None, count: "int | None" = None) -> None:
    """Sends one DISPLAY frame with a MIME bundle."""
    link = here()
    link.send(
        _husk.DISPLAY,
        link.turn(),
        kind,
        count,
        jsonable.mime_rows(data),
        jsonable.dumps(metadata) if metadata else None,
        jsonable.dumps(transient) if transient else None,
        [],
    )


class DisplayHandle:
    """What display(..., display_id=True) returns: shows and updates one place of the output."""

    def __init__(self, show: object, display_id: str) -> None:
        self._show = show
        self.display_id = display_id

    def __repr__(self) -> str:
        return f"<DisplayHandle display_id={self.display_id}>"

    def display(self, obj: object, **kwargs: object) -> None:
        """Shows an object in a new place of this id."""
        self._show(obj, display_id=self.display_id, **kwargs)

    def update(self, obj: object, **kwargs: object) -> None:
        """Replaces what is shown under this id."""
        self._show(obj, display_id=self.display_id, update=True, **kwargs)


def make_display(formatter: Formatter) -> object:
    """The display() of a shell."""

    def display(
        *objs: object,
        include: object = None,
        exclude: object = None,
        metadata: "dict | None" = None,
        transient: "dict | None" = None,
        display_id: "bool | str | None" = None,
        raw: bool = False,
        clear: bool = False,
        update: bool = False,
    ) -> "DisplayHandle | None":
        """Shows objects in their richest form. display_id: True or a name, gives a DisplayHandle; raw: objs are MIME bundles."""
        transient = dict(transient or {})
        if display_id is True:
            import uuid

            display_id = uuid.uuid4().hex
        if display_id:
            transient["display_id"] = display_id
        if update and not display_id:
            raise TypeError("display_id required for update_display")
        if clear:
            clear_output(wait=True)
        kind = _husk.DISPLAY_UPDATE if update else _husk.DISPLAY_DATA
        for obj in objs:
            if raw:
                send(kind, obj, metadata or {}, transient)
            elif not formatter.shows_itself(obj):
                data, found = formatter.bundle(obj, include, exclude)
                send(kind, data, {**found, **(metadata or {})}, transient)
        return DisplayHandle(display, display_id) if display_id else None

    return display


def clear_output(wait: bool = False) -> None:
    """Clears what the current cell has shown; wait: only when the next output comes."""
    here().publish("clear_output", {"wait": bool(wait)}, topic="display_data")


def error_entry(error: BaseException) -> dict:
    """An exception as an entry of user_expressions."""
    ename, evalue, lines = errors.report(errors.without_machinery(error))
    return {"status": "error", "ename": ename, "evalue": evalue, "traceback": lines}
