# SPDX-License-Identifier: Apache-2.0
"""What differs between IPython's versions, found out by looking at the objects, and what a user has changed in a shell."""

import inspect

import traitlets
from IPython.core.autocall import IPyAutocall
from IPython.core.macro import Macro


def _parameters(func: object) -> frozenset:
    """Names of the parameters of a callable; empty when they cannot be known."""
    try:
        return frozenset(inspect.signature(func).parameters)
    except (TypeError, ValueError):
        return frozenset()


def put(owner: object, name: str, value: object) -> None:
    """Sets a trait whose value needs no validation; past traitlets' machinery when nobody observes it."""
    notifiers = owner._trait_notifiers
    general = notifiers.get(traitlets.All)
    if name in notifiers or (general and any(general.values())):
        setattr(owner, name, value)
    else:
        owner._trait_values[name] = value


class ShellInfo:
    """Facts about one shell, gathered when it is new.

    counts_first: execution_count advances before a cell runs (IPython 9), not after it.
    """

    def __init__(self, shell: object) -> None:
        from IPython.core.interactiveshell import ExecutionInfo

        self.counts_first = type(shell).counts_first
        self.run_parameters = _parameters(shell.run_cell_async)
        self.info_parameters = _parameters(ExecutionInfo.__init__)
        manager = shell.input_transformer_manager
        self._cleanup = list(manager.cleanup_transforms)
        self._lines = list(manager.line_transforms)
        self._tokens = list(manager.token_transformers)
        prefilter = shell.prefilter_manager
        self._checkers = list(prefilter.checkers)
        self._asyncio = getattr(__import__("IPython.core.interactiveshell", fromlist=["x"]), "_asyncio_runner", None)
        self._lazy_log = hasattr(type(shell), "_logger")

    def transforms_are_default(self, shell: object) -> bool:
        """Whether text and tree of a cell go through nothing but IPython's own transformations, set as they are at first."""
        manager = shell.input_transformer_manager
        return (
            not shell.ast_transformers
            and not shell.input_transformers_post
            and shell.ast_node_interactivity == "last_expr"
            and not shell.autocall
            and manager.cleanup_transforms == self._cleanup
            and manager.line_transforms == self._lines
            and manager.token_transformers == self._tokens
            and not shell.trio_runner
            and not shell.custom_exceptions
        )

    def is_command(self, shell: object, word: str) -> bool:
        """Whether a one-line cell with this first word may be something else than Python for IPython."""
        prefilter = shell.prefilter_manager
        if prefilter.transformers or prefilter.checkers != self._checkers:
            return True
        if not word:
            return False
        magics = shell.magics_manager
        if word in magics.magics["line"] or word in getattr(magics, "lazy_magics", ()):
            return True
        return isinstance(shell.user_ns.get(word), (IPyAutocall, Macro))

    def runs_on_asyncio(self, shell: object) -> bool:
        """Whether awaited cells run on asyncio (not curio, trio or a runner of the user's)."""
        return shell.loop_runner is self._asyncio

    def log(self, shell: object, cell: str, raw: str) -> None:
        """Hands a cell to the session log (%logstart) if there is one."""
        logger = shell._logger if self._lazy_log else shell.logger
        if logger is not None:
            logger.log(cell, raw)

    def cell_arguments(self, request: object) -> dict:
        """Arguments of run_cell() that older versions do not know."""
        out = {}
        known = self.run_parameters
        if "cell_id" in known or "cell_meta" in known:
            metadata = request.metadata
            if "cell_id" in known:
                out["cell_id"] = metadata.get("cellId")
            if "cell_meta" in known:
                out["cell_meta"] = metadata
        return out

    def execution_info(self, kind: type, raw: str, store: bool, silent: bool, request: object, cell: str) -> object:
        """An ExecutionInfo with the fields that this version has."""
        known = self.info_parameters
        info = kind(raw, store, silent, True, *((None,) if "cell_id" in known else ()))
        if request.metadata_raw and len(request.metadata_raw) > 2:
            if "cell_id" in known:
                info.cell_id = request.metadata.get("cellId")
            if "cell_meta" in known:
                info.cell_meta = request.metadata
        elif "cell_meta" in known:
            info.cell_meta = {}
        if "transformed_cell" in known:
            info.transformed_cell = cell
        return info
