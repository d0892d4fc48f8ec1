"""Modules that belong to the script: those of its folder. A reload imports them anew."""

import importlib
import os
import sys


def own(folder):
    """Names of loaded modules whose source lies in the script's folder; no installed packages, no extension modules (which cannot be
    loaded twice)."""
    folder = os.path.join(os.path.realpath(folder), "")
    names = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not isinstance(file, str) or not file.endswith((".py", ".pyc")):
            continue
        file = os.path.realpath(file)
        if file.startswith(folder) and "site-packages" not in file and "dist-packages" not in file:
            names.append(name)
    return names


def begin(folder, script, ksr):
    """Before the script is loaded anew; gives what `end` needs. Workers that share the interpreter get it back quickly meanwhile."""
    sys.modules["KSR"] = ksr
    importlib.invalidate_caches()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(min(interval, 0.0005))
    return {name: sys.modules.pop(name) for name in {script, *own(folder)} if name in sys.modules}, interval


def end(folder, script, begun, failed):
    """Afterwards; when it failed, with the modules of the script that goes on."""
    modules, interval = begun
    sys.setswitchinterval(interval)
    if failed:
        for name in {script, *own(folder)}:
            sys.modules.pop(name, None)
        sys.modules.update(modules)
