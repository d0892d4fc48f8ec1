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


def forget(folder, script, ksr):
    """Before the script is loaded anew; gives what `restore` needs when that fails."""
    sys.modules["KSR"] = ksr
    importlib.invalidate_caches()
    return {name: sys.modules.pop(name) for name in {script, *own(folder)} if name in sys.modules}


def restore(folder, script, saved):
    """After a failure: the modules of the script that goes on."""
    for name in {script, *own(folder)}:
        sys.modules.pop(name, None)
    sys.modules.update(saved)
