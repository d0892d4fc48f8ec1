"""Modules that belong to the script: those of its folder. A reload imports them anew."""

import importlib.util
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


def forget_bytecode(names):
    """Python takes a source of the same size and second for the one it compiled: that would be the script before a quick edit."""
    for name in names:
        try:
            os.unlink(importlib.util.cache_from_source(sys.modules[name].__file__))
        except (KeyError, OSError, NotImplementedError):
            pass


def begin(folder, script, ksr):
    """Before the script is loaded anew; gives what `end` needs. Workers that share the interpreter get it back quickly meanwhile."""
    sys.modules["KSR"] = ksr
    forget_bytecode(own(folder))
    before = sys.getswitchinterval(), sys.dont_write_bytecode
    sys.setswitchinterval(min(before[0], 0.0005))
    # None of a script that fails either.
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    return {name: sys.modules.pop(name) for name in {script, *own(folder)} if name in sys.modules}, before


def end(folder, script, begun, failed):
    """Afterwards; when it failed, with the modules of the script that goes on."""
    modules, (interval, sys.dont_write_bytecode) = begun
    sys.setswitchinterval(interval)
    if failed:
        for name in {script, *own(folder)}:
            sys.modules.pop(name, None)
        sys.modules.update(modules)
