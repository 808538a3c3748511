# SPDX-License-Identifier: Apache-2.0
"""What differs between IPython's versions, found out by looking at the objects, and what a user has changed in a shell."""

import inspect
import re

import traitlets
from IPython.core.autocall import IPyAutocall
from IPython.core.macro import Macro

from husk_worker import lean, originals

_TRAITS = """
ast_node_interactivity ast_transformers autocall builtin_trap display_trap execution_count exit_now history_manager
input_transformer_manager input_transformers_post loop_runner magics_manager payload_manager prefilter_manager"""


FIRST_WORDS = re.compile(r"(\w*)[\w.*]*")  # what IPython may take for a command; its group 1 for a keyword
_NOBODY: dict = {"change": []}


def _parameters(func: object) -> frozenset:
    """Names of the parameters of a callable; empty when they cannot be known."""
    try:
        return frozenset(inspect.signature(func).parameters)
    except (TypeError, ValueError):
        return frozenset()


def put(owner: object, values: dict) -> None:
    """Sets traits whose values need no validation; past traitlets' machinery when nobody observes them."""
    notifiers = owner._trait_notifiers
    if notifiers.get(traitlets.All, _NOBODY) != _NOBODY or not notifiers.keys().isdisjoint(values):
        for name, value in values.items():
            setattr(owner, name, value)
    else:
        owner._trait_values.update(values)


def inputs(manager: object) -> tuple[list, list]:
    """Texts of the cells that a history manager has stored: transformed, and as they were typed."""
    values = manager.__dict__.get("_trait_values", manager.__dict__)
    try:
        return values["input_hist_parsed"], values["input_hist_raw"]
    except KeyError:
        return manager.input_hist_parsed, manager.input_hist_raw


class ShellInfo:
    """Facts about one shell, gathered when it is new.

    values: its traits, for looking only. counts_first: execution_count advances before a cell runs (IPython 9), not after it.
    """

    def __init__(self, shell: object) -> None:
        from IPython.core.interactiveshell import ExecutionInfo

        self._shell = shell
        self.values = originals.traits(shell, _TRAITS.split())
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

    def texts_are_default(self) -> bool:
        """Whether the text of a cell goes through nothing but IPython's own transformations, set as they are at first."""
        values = self.values
        manager = values["input_transformer_manager"]
        return (
            not values["input_transformers_post"]
            and not values["autocall"]
            and manager.cleanup_transforms == self._cleanup
            and manager.line_transforms == self._lines
            and manager.token_transformers == self._tokens
        )

    def trees_are_default(self) -> bool:
        """Whether a cell's statements are run as IPython does at first, the last one showing its value."""
        shell, values = self._shell, self.values
        return (
            not values["ast_transformers"]
            and values["ast_node_interactivity"] == "last_expr"
            and not shell.trio_runner
            and not shell.custom_exceptions
        )

    def leaves_alone(self, line: str) -> bool:
        """Whether transform_cell() gives this line of code back as it is."""
        return (
            lean.is_untouched_line(line)
            and self.texts_are_default()
            and not self.is_command(FIRST_WORDS.match(line).group())
        )

    def is_command(self, word: str) -> bool:
        """Whether a one-line cell with this first word may be something else than Python for IPython."""
        values = self.values
        prefilter = values["prefilter_manager"]
        if prefilter.transformers or prefilter.checkers != self._checkers:
            return True
        if not word:
            return False
        magics = values["magics_manager"]
        if word in magics.magics["line"] or word in magics.lazy_magics:
            return True
        return isinstance(self._shell.user_ns.get(word), (IPyAutocall, Macro))

    def runs_on_asyncio(self) -> bool:
        """Whether awaited cells run on asyncio (not curio, trio or a runner of the user's)."""
        return self.values["loop_runner"] is self._asyncio

    def log(self, cell: str, raw: str) -> None:
        """Hands a cell to the session log (%logstart) if there is one."""
        logger = self._shell._logger if self._lazy_log else self._shell.logger
        if logger is not None:
            logger.log(cell, raw)

    def logs_output(self) -> bool:
        """Whether values go to the session log too."""
        logger = self._shell._logger if self._lazy_log else self._shell.logger
        return logger is not None and bool(logger.log_output)

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
