# SPDX-License-Identifier: Apache-2.0
"""The worker's main loop: frames in, answers out, and the building of the shell when it is needed or nothing else is to do."""

import os
import sys

import _husk
from husk_worker import errors
from husk_worker import link as links
from husk_worker.cold import Cold
from husk_worker.execute import Executor
from husk_worker.link import TURN, Link, Request
from husk_worker.streams import Streams

_BUILD_DEPTH = 500  # frames that the build of the shell may need, imports included


class Runtime:
    """What one worker has once: main link, streams, the state before the shell (`cold`) or the shell, the kernel façade.

    shell: None until it is built (IPython's, or plain.PlainShell when IPython cannot be imported).
    config, profile_dir: what startup.py found for the shell, None otherwise.
    """

    def __init__(self) -> None:
        self.link = Link()
        links.set_main(self.link)
        self.link.need_shell = self.need_shell
        self.link.on_attach = self._on_attach
        self.link.on_interrupt = self._on_interrupt
        self.subshells = []
        self.streams = Streams(self.link)
        self.options = {}
        self.cold = Cold()
        self.shell = None
        self.config = None
        self.profile_dir = None
        self.executor = Executor(self, self.link)
        self._kernel = None
        self._forced = None
        self._building = None
        self._busy = False
        self._input = None
        _husk.set_attention(self._attend)  # calls it at once when there was a signal before

    @property
    def kernel(self) -> object:
        """The kernel façade, made at the first look."""
        if self._kernel is None:
            from husk_worker.kernel import Kernel

            self._kernel = Kernel(self.link, self.options)
            self._kernel.shell_getter = lambda: self.shell
            self.link.kernel = self._kernel
        return self._kernel

    # The main loop

    def serve(self) -> int:
        """Serves the link until its end; the exit code."""
        aio = self.executor.aio
        while True:
            try:
                if self.shell is None and self.cold.cells and not self.link.pending():
                    self.need_shell()
                frame = aio.recv() if self._kernel is None or self._kernel.eventloop is None else self._gui_recv()
                if frame is not None:
                    self.on_frame(frame)
            except _husk.Closed:
                return 0
            except KeyboardInterrupt:
                pass  # of nobody's cell

    def _gui_recv(self) -> "tuple | None":
        """Lets a GUI toolkit's loop run until a frame is there."""
        kernel = self._kernel
        if not self.link.pending():
            eventloop = kernel.eventloop
            try:
                eventloop(kernel)
            except KeyboardInterrupt:
                pass
            except Exception as error:
                kernel.eventloop = None
                sys.stderr.write("\n".join(errors.plain_traceback(error)) + "\n")
            if kernel.eventloop is not None and not self.link.pending():
                return self.link.recv(0.0)
        return self.executor.aio.recv()

    def on_frame(self, frame: tuple) -> None:
        """Serves one frame of the main link."""
        kind, fields, descriptors = frame
        if kind == _husk.EXECUTE or kind == _husk.REQUEST:
            self._busy = True
            try:
                if kind == _husk.EXECUTE:
                    self.executor.execute(Request.from_execute(fields))
                else:
                    self.answer(self.executor, Request.from_request(fields))
            finally:
                self._busy = False
        elif kind == _husk.START:
            self.start(fields[0])
        elif kind == _husk.SHUTDOWN:
            self.exit(0)
        elif kind == _husk.ATTACH:
            self.attach(fields[0], fields[1], fields[2], descriptors)

    def start(self, options: dict) -> None:
        """Takes the options of START. No byte of a tenant's has run yet."""
        self.options.update(options)
        if options.get("memory_limit") is not None:
            self._limit_memory(options["memory_limit"])
        if options.get("frame_limit") is not None:
            _husk.limit_frames(options["frame_limit"])
        if options.get("package_prefix"):
            from husk_worker import prefix

            prefix.use(options["package_prefix"])
        names = options.get("user_ns")
        if isinstance(names, dict):
            self.cold.ns.update(names)
        self.cold.go_on_at(options.get("execution_count", 1))

    def _limit_memory(self, limit: int) -> None:
        try:
            _husk.limit_memory(limit)
        except (RuntimeError, OverflowError, TypeError) as error:
            self.link.send(_husk.FATAL, "internal", str(error))
            _husk.exit(1)

    def answer(self, executor: Executor, request: Request) -> None:
        """Serves one REQUEST: exactly one ANSWER."""
        link = executor.link
        link.begin(request)

        def handle() -> tuple:
            executor.context.run(TURN.set, request.turn)
            if self.shell is None and self.cold is not None:
                self.need_shell()
            executor.aio.enter()
            try:
                from husk_worker import requests

                return executor.guard(request, requests.answer, self.kernel, request)
            finally:
                executor.aio.leave()

        content, _ = self._content(handle)
        if executor.main:
            _husk.drain()
        leaves = getattr(self.shell, "exit_now", False)
        if leaves:
            link.hold(_husk.EXIT, 0)
        link.answer(request, *content)
        if leaves:
            self.exit(0)

    def answer_beside(self, executor: Executor, request: Request) -> None:
        """Serves one REQUEST in a callback of the loop that a cell of the same link awaits on.

        An interrupt is the cell's. It ends a handler that runs too long, and is raised again once the ANSWER has left.
        """
        from husk_worker import requests

        link = executor.link
        cell = link.current
        link.begin(request)
        context = executor.context.copy()

        def handle() -> tuple:
            context.run(TURN.set, request.turn)
            if executor.main:
                return _husk.guard(executor.running, context.run, requests.answer, self.kernel, request)
            return context.run(requests.answer, self.kernel, request)

        content, error = self._content(handle)
        link.answer(request, *content)
        link.resume(cell)
        if error is not None and errors.is_interrupt(error):
            raise error

    def _content(self, handle: object) -> tuple:
        """((content, metadata, buffers), None) of handle(), or of an error reply and the exception that it raised."""
        error = None
        try:
            content, metadata, buffers = handle()
            answer = links.to_json(content), metadata, buffers
        except _husk.Closed:
            if not _husk.in_child():
                raise
        except BaseException as caught:
            error = caught
            ename, evalue, lines = errors.report(errors.without_machinery(caught))
            answer = links.to_json({"status": "error", "ename": ename, "evalue": evalue, "traceback": lines}), None, ()
        if _husk.in_child():
            self.end_child(None)
        return answer, error

    # The shell

    def must_build(self) -> bool:
        """Whether this user's settings call for the shell before the first cell."""
        if self._forced is None:
            from husk_worker import startup

            self._forced = startup.wants_shell(self.options)
        return self._forced

    def need_shell(self, cell: "int | None" = None) -> object:
        """The shell; built now when there is none yet. Never raises for a broken IPython: then it is the plain one.

        cell: number of the plain cell that is running and still has to be shown or displayed, else None.
        """
        if self.shell is None:
            import _thread

            if self._building == _thread.get_ident():
                raise RuntimeError("the shell is needed while it is built")
            self._building = _thread.get_ident()
            try:
                _husk.count_memory(False)
                from husk_worker import adopt

                adopt.build(self, cell)
            finally:
                _husk.count_memory(True)
                self._building = None
            if cell is not None:
                self.executor.shell_runner()  # it remembers what belongs to that cell, whatever subshells run meanwhile
            for fields, descriptors in self.link.take_attaches() if self._busy else ():
                self._on_attach(fields, descriptors)
        return self.shell

    def make_runner(self, executor: Executor) -> object:
        """What runs cells of that executor in the shell."""
        if getattr(self.shell, "is_plain", False):
            from husk_worker.plain import PlainRunner

            return PlainRunner(executor, self.shell)
        from husk_worker.shellrun import ShellRunner

        return ShellRunner(executor, self.shell)

    def forward_input(self) -> None:
        """input() and getpass() ask the client, whatever an earlier cell has put in their place."""
        import builtins

        if self._input is None:
            import getpass

            kernel = self.kernel
            self._input = (kernel.raw_input, kernel.getpass, getpass)
        builtins.input = self._input[0]
        self._input[2].getpass = self._input[1]

    # Further links

    def _on_attach(self, fields: list, descriptors: list) -> bool:
        """Serves an ATTACH while a cell runs. False as long as there is no shell: then attach_now() or the main loop does it.

        A bare thread, because this may run in the middle of anything, of threading itself too. Not between cells: the loop
        that this may make is seen by the main loop only when that looks again.
        """
        if self.shell is None or self._building is not None or not self._busy:
            return False
        import _thread

        _thread.start_new_thread(self.attach, (fields[0], fields[1], fields[2], descriptors))
        return True

    def _attend(self) -> None:
        """Called in the main thread, between two steps of whatever runs there, when a frame does not wait for a cell's end."""
        self.link.attend()
        if self._building is None and self.cold is not None and self.cold.running:
            self.attach_now()

    def attach_now(self) -> None:
        """Builds the shell in the middle of a plain cell, if an ATTACH waits: a subshell must not wait for the cell's end.

        Deep in a recursion it does wait: there the build could fail for want of stack.
        """
        if self.link.attach_waits() and _depth() + _BUILD_DEPTH < sys.getrecursionlimit():
            self.need_shell(cell=self.cold.count)

    def _on_interrupt(self, turn: int, *why: int) -> None:
        """Interrupts the cell of a subshell if it is still the one of that turn."""
        for executor in list(self.subshells):
            executor.interrupt(turn, *why)

    def attach(self, channel: int, kind: str, ident: str, descriptors: list) -> None:
        """Starts serving a further link in a thread of its own. A kind that is not known is closed at once."""
        if not descriptors:
            return
        for extra in descriptors[1:]:
            os.close(extra)
        from husk_worker import attach

        attach.start(self, channel, kind, ident, descriptors[0])

    # The end

    def exit(self, code: int) -> None:
        """Ends the worker after its atexit functions. The front knows that it is meant: it said SHUTDOWN or was told EXIT."""
        run_exit_functions()
        _husk.drain()
        getattr(_husk, "exit", os._exit)(code)

    def end_child(self, outcome: object) -> None:
        """Ends a process that a cell has forked, when it comes back from the cell, as if it were a program's end."""
        code = 0
        error = getattr(self.shell, "last_execution_result", None)
        error = getattr(error, "error_in_exec", None)
        if isinstance(error, SystemExit):
            code = _exit_code(error)
        elif error is not None or (outcome is not None and outcome.error is not None):
            code = 1
            lines = outcome.error[2] if outcome is not None and outcome.error is not None else ()
            self.streams.err.write("\n".join(lines) + "\n" if lines else "")
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            try:
                stream.flush()
            except Exception:
                pass
        os._exit(code)


def _depth() -> int:
    """How many frames of Python are on the stack."""
    frame, n = sys._getframe(), 0
    while frame is not None:
        frame, n = frame.f_back, n + 1
    return n


def _exit_code(error: SystemExit) -> int:
    """The exit code that Python gives a program that ends with this SystemExit."""
    code = error.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stderr.write(f"{code}\n")
    return 1


def run_exit_functions() -> None:
    """What Python does at the end of a program, except for taking itself apart: waits for threads, calls atexit functions."""
    threading = sys.modules.get("threading")
    try:
        if threading is not None:
            threading._shutdown()
    except BaseException as error:
        sys.__stderr__.write("\n".join(errors.plain_traceback(error)) + "\n")
    import atexit

    try:
        atexit._run_exitfuncs()
    except BaseException:
        pass


def main() -> int:
    """Entry of the worker; the exit code of the process."""
    _husk.set_context_var(TURN)
    runtime = Runtime()
    runtime.streams.install()
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    return runtime.serve()
