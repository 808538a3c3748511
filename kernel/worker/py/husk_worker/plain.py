# SPDX-License-Identifier: Apache-2.0
"""The shell of an environment without IPython: the same behaviour on the wire, without magics."""

import _ast
import builtins
import sys

import _husk
from husk_worker import cellname, errors, jsonable, lean, link, plain_display, startup

_ALLOW_AWAIT = 0x2000  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_CO_COROUTINE = 0x80
_MAX_OUT = 1000


class UsageError(Exception):
    """A cell asks for something that only IPython has."""


class Exiter:
    """`exit` and `quit`."""

    def __init__(self, shell: "PlainShell") -> None:
        self._shell = shell

    def __call__(self, keep_kernel: bool = False) -> None:
        self._shell.ask_exit(keep_kernel)


class Result:
    """How the last cell ended, by IPython's names."""

    execution_count = error_before_exec = error_in_exec = result = None


class PlainShell:
    """Namespace, histories and counter of a session.

    runtime: boot's Runtime; cold: the state so far; cell: number of a plain cell that is still running.
    """

    is_plain = True
    exit_now = False

    def __init__(self, runtime: object, cold: object, cell: "int | None") -> None:
        self.runtime = runtime
        self.user_module = cold.module
        self.user_ns = ns = cold.ns
        self.execution_count = cold.count
        self.parsed, self.raw, self.out, self.texts = cold.parsed, cold.raw, cold.out, cold.texts
        self.under, self.recent = cold.under, cold.recent
        self.numbers = {}
        self.payload = []
        self.last_execution_result = Result()
        self.result_error = None
        for number, text, _ in cold.cells:
            self.remember(cellname.file_name(text.rstrip("\n")), number, text)
        self.formatter = plain_display.Formatter(self.show_format_error)
        names = cold.take_names()
        ns.update(_ih=self.parsed, _oh=self.out, In=self.parsed, Out=self.out)
        ns["exit"] = ns["quit"] = Exiter(self)
        ns.update(names)
        builtins.display = plain_display.make_display(self.formatter)
        builtins.clear_output = plain_display.clear_output
        builtins.__husk_system__ = run_command
        startup.add_working_directory()

    def ask_exit(self, keep_kernel: bool = False) -> None:
        """Ends the kernel after this cell's reply."""
        self.exit_now = not keep_kernel
        self.payload = [{"source": "ask_exit", "keepkernel": keep_kernel}]

    def reset(self, new_session: bool = True) -> None:
        """Empties the namespace of the user's names."""
        for name in [name for name in self.user_ns if name[:1] != "_" and name not in ("In", "Out", "exit", "quit")]:
            del self.user_ns[name]

    def remember(self, name: str, number: int, text: str) -> None:
        """Keeps the text of a cell for tracebacks."""
        import linecache

        self.numbers[name] = number
        linecache.cache[name] = (len(text), None, text.splitlines(True), name)

    def store_input(self, code: str) -> None:
        """Records the text of the cell that begins."""
        text = code.rstrip("\n")
        self.parsed.append(text)
        if self.raw is not self.parsed:
            self.raw.append(text)
        self.recent = recent = [text, *self.recent[:3]]
        ns = self.user_ns
        ns["_i"], ns["_ii"], ns["_iii"] = recent[1:]
        ns[f"_i{self.execution_count}"] = text

    def displayhook(self, value: object) -> None:
        """Shows and records the value of a cell."""
        if value is None or getattr(self, "quiet", False):
            return
        if isinstance(value, Exiter):
            value()
            return
        count = self.execution_count if self.storing else self.execution_count - 1
        if self.formatter.shows_itself(value):
            data, metadata = {}, {}
        else:
            data, metadata = self.formatter.bundle(value)
        if self.storing:
            ns = self.user_ns
            ours = all(ns.get(name, old) is old for name, old in zip(("_", "__", "___"), self.under, strict=True))
            self.under = under = [value, *self.under[:2]]
            if ours and "_" not in builtins.__dict__:
                ns["_"], ns["__"], ns["___"] = under
            ns[f"_{count}"] = value
            if value is not self.out:
                self.out[count] = value
            while len(self.out) > _MAX_OUT:
                oldest = next(iter(self.out))
                self.out.pop(oldest)
                ns.pop(f"_{oldest}", None)
            if "text/plain" in data:
                self.texts[count] = data["text/plain"]
        if data:
            plain_display.send(_husk.DISPLAY_RESULT, data, metadata, None, count)

    storing = True

    def show_format_error(self, error: BaseException) -> None:
        """An object failed to show itself: an error of the cell, which goes on."""
        report = self.report(error)
        here = link.here()
        here.send(_husk.ERROR, here.turn(), *report)
        self.result_error = report

    def report(self, error: BaseException) -> tuple[str, str, list[str]]:
        """(ename, evalue, traceback lines) of an exception, cells named by their numbers."""
        errors.make_room(error)
        error = errors.without_machinery(error)
        sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
        sys.last_exc = error
        lines = []
        for line in errors.plain_traceback(error):
            start, _, rest = line.partition('File "')
            name, quote, rest = rest.partition('"')
            number = self.numbers.get(name) if quote and not start.strip(" |") else None
            lines.append(line if number is None else f"{start}Cell In[{number}]{rest}")
        return errors.name_of(error), errors.text_of(error), lines


def ends_quietly(code: str) -> bool:
    """Whether the last token of a cell is a semicolon."""
    if ";" not in code:
        return False
    import io
    import tokenize

    last = ""
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type not in (tokenize.ENDMARKER, tokenize.NL, tokenize.NEWLINE, tokenize.COMMENT):
                last = token.string
    except (tokenize.TokenError, SyntaxError):
        return False
    return last == ";"


def run_command(command: str) -> None:
    """Runs a shell command, its output to the cell."""
    import subprocess

    subprocess.run(command, shell=True, check=False)


def translate(code: str) -> str:
    """A cell that is no Python: lines `!command` become calls. Raises UsageError for what only IPython knows."""
    first = code.lstrip()
    if first.startswith("%"):
        word = first.lstrip("%").split(None, 1)[:1]
        name = first[: 2 if first.startswith("%%") else 1] + "".join(word)
        raise UsageError(f"magic `{name}` needs IPython, which is not installed here")
    if first.startswith("?") or first.rstrip().endswith("?"):
        raise UsageError("help with `?` needs IPython, which is not installed here; use help()")
    lines = code.split("\n")
    changed = False
    for at, line in enumerate(lines):
        command = line.lstrip()
        if command.startswith("!"):
            lines[at] = f"{line[: len(line) - len(command)]}__husk_system__({command[1:]!r})"
            changed = True
    if not changed:
        raise UsageError("")
    return "\n".join(lines)


class PlainRunner:
    """Runs cells of one executor without IPython. The methods are those of ShellRunner."""

    def __init__(self, executor: object, shell: PlainShell) -> None:
        self.executor = executor
        self.runtime = executor.runtime
        self.shell = shell
        self.aio = executor.aio
        self.late = shell.execution_count

    def run(self, request: object, outcome: object) -> None:
        """Serves an EXECUTE up to its reply."""
        code, shell = request.code, self.shell
        silent = bool(request.flags & _husk.EXEC_SILENT)
        store = bool(request.flags & _husk.EXEC_STORE_HISTORY) and not silent
        count = shell.execution_count
        blank = not code or code.isspace()
        if store and not blank:
            shell.store_input(code)
            outcome.history = True if code[-1] != "\n" else (code.rstrip("\n"),) * 2
        try:
            if not blank:
                coro = self.executor.guard(request, self._cell, code, silent, store)
                if coro is not None:
                    self.aio.drive(request.turn, self.executor.context, coro)
            self.executor.guard(request, self._expressions, request, outcome)
        except _husk.Closed:
            raise
        except UsageError as error:
            self.runtime.streams.err.write(f"UsageError: {error}\n")
            outcome.fail("UsageError", str(error), [])
        except BaseException as error:
            self._failed(outcome, error)
        finally:
            self.aio.leave()
            shell.quiet = False
        if store and not blank:
            shell.execution_count = count + 1
            outcome.output = shell.texts.get(count)
        self._collect(outcome)

    def _failed(self, outcome: object, error: BaseException) -> None:
        result = self.shell.last_execution_result
        result.error_in_exec = error
        outcome.fail(*self.shell.report(error), error)

    def _collect(self, outcome: object) -> None:
        shell = self.shell
        if shell.result_error is not None and outcome.error is None:
            outcome.fail(*shell.result_error)
            outcome.published = True
        shell.result_error = None
        if shell.payload:
            outcome.payload = jsonable.dumps(shell.payload)
            shell.payload = []
        outcome.next_count = shell.execution_count
        outcome.count = shell.execution_count - 1
        outcome.exit = shell.exit_now

    def _compile(self, code: str, name: str) -> "_ast.Module":
        try:
            return lean.parse(code, name)
        except SyntaxError as error:
            try:
                text = translate(code)
            except UsageError as usage:
                if usage.args == ("",):
                    raise error.with_traceback(None) from None
                raise usage from None
            return lean.parse(text, name)

    def _cell(self, code: str, silent: bool, store: bool) -> object:
        """Runs a cell; a coroutine when it has to be awaited."""
        shell = self.shell
        self.runtime.forward_input()
        self.aio.enter()
        shell.last_execution_result = result = Result()
        result.execution_count = shell.execution_count
        shell.storing = store
        name = cellname.file_name(code)
        shell.remember(name, shell.execution_count, code)
        body = self._compile(code, name).body
        shell.quiet = silent or ends_quietly(code)
        flags = lean.NO_IMPLIED_DEDENT | _ALLOW_AWAIT
        parts = []
        value = body[-1:] if body and type(body[-1]) is _ast.Expr else []
        if len(body) > len(value):
            whole = _ast.Module(body[: len(body) - len(value)], [])
            parts.append(compile(whole, name, "exec", flags, True))
        if value:
            parts.append(compile(_ast.Expression(value[0].value), name, "eval", flags, True))
        if any(part.co_flags & _CO_COROUTINE for part in parts):
            return self._steps(parts, bool(value))
        hook = sys.displayhook
        sys.displayhook = shell.displayhook
        try:
            for part in parts:
                found = eval(part, shell.user_ns, shell.user_ns)
            if value:
                result.result = found
                sys.displayhook(found)
        finally:
            sys.displayhook = hook
        return None

    async def _steps(self, parts: list, value: bool) -> None:
        """As the end of _cell() for a cell with top-level await."""
        for part in parts:
            found = eval(part, self.shell.user_ns, self.shell.user_ns)
            if part.co_flags & _CO_COROUTINE:
                found = await found
        if value:
            self.shell.last_execution_result.result = found
            self.shell.displayhook(found)

    def _expressions(self, request: object, outcome: object) -> None:
        wanted = link.loads(request.expressions_raw)
        if not wanted or outcome.error is not None:
            return
        found = {}
        for name, text in wanted.items():
            try:
                data, metadata = self.shell.formatter.bundle(eval(text, self.shell.user_ns, self.shell.user_ns))
                found[name] = {"status": "ok", "data": data, "metadata": metadata}
                jsonable.dumps(found[name])
            except Exception as error:
                found[name] = plain_display.error_entry(error)
        outcome.expressions = jsonable.dumps(found)

    # Cells that began before there was a shell

    def guarded(self, request: object, outcome: object, func: object, *args: object, guard: object = None) -> None:
        """func(*args) as tenant code; what it raises becomes the error of the reply."""
        try:
            (guard or self.executor.guard)(request, func, *args)
        except BaseException as error:
            outcome.fail(*self.report_escaped(error), error)
        finally:
            self._collect(outcome)

    def report_escaped(self, error: BaseException) -> tuple:
        """(ename, evalue, traceback) of an exception that left the machinery."""
        return self.shell.report(error)

    def show_late(self, error: BaseException) -> None:
        """Nothing: end_late() makes the error the reply's, which is then published."""

    def display_late(self, value: object) -> None:
        """Displays the value of a plain cell."""
        self.shell.displayhook(value)

    def end_late(self, outcome: object, error: "BaseException | None") -> None:
        """Ends a cell that began before there was a shell."""
        shell = self.shell
        count = self.late
        if error is not None:
            self._failed(outcome, error)
        shell.execution_count = outcome.next_count = max(shell.execution_count, count + 1)
        outcome.count = count
        outcome.output = shell.texts.get(count)
