"""``intact view``: files in the browser of this machine."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Annotated

from intact.cli import lines
from intact.cli.errors import Code, UsageError
from intact.cli.parser import Argument, Option
from intact.errors import quoted


def view(
    files: Annotated[list[str], Argument("FILE", help="Files; also pictures to compare with.")],
    model: Annotated[
        str | None, Option("--model", help="One more model: a name (see models), or a path.")
    ] = None,
    port: Annotated[int, Option("--port", minimum=0, maximum=65535, help="0 takes any.")] = 0,
    no_browser: Annotated[
        bool, Option("--no-browser", help="Print the page's address only.")
    ] = False,
) -> int:
    """Show files in the browser, decoded there, until Ctrl-C. No one else can see them.

    The server listens on this machine alone; the address has a random token.
    """
    from intact.codec import store
    from intact.web.server import Server

    paths = [Path(os.path.abspath(name)) for name in files]
    for name, path in zip(files, paths, strict=True):
        if name == "-":
            raise UsageError("view shows files, and stdin (-) is none")
        mode = path.stat().st_mode  # an OSError says what is wrong with it
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise UsageError(f"{quoted(name)} is a pipe or device; view reads files, and often")
        with path.open("rb"):
            pass
    models = [] if model is None else [store.model_path(model)]
    for path in models:
        store.read_model(path)
    try:
        server = Server(paths, models=models, port=port)
    except PermissionError:
        raise UsageError(f"port {port} is not for everyone; take one above 1023") from None
    with server:
        lines.say(server.url)
        if not no_browser:
            threading.Thread(target=_open, args=(server.ticket,), daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            lines.say("")
    return Code.OK


def _open(url: str) -> None:
    import webbrowser

    try:
        opened = webbrowser.open(url)
    except OSError as error:
        opened = False
        lines.complain(f"the browser: {quoted(str(error))}")
    if not opened:
        lines.complain("no browser opened; the address above is for any on this machine")
