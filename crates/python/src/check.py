"""Reads a routing script's syntax tree: which KSR names it uses, with which literals, and what it defines.

Runs inside the server for `trunkline check`; the script itself is not executed. The result is JSON.
"""

import ast
import json


class Survey(ast.NodeVisitor):
    def __init__(self):
        self.names = {}  # name in the script -> path below KSR
        self.uses = []
        self.classes = {}
        self.functions = {}
        self.returned = []  # names of classes that functions return instances of: {function: [class, ...]}
        self.owner = None

    def path(self, node):
        """Path below KSR that an expression stands for, or None."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id)
        if isinstance(node, ast.Attribute):
            base = self.path(node.value)
            return None if base is None else base + [node.attr]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "getattr":
            if len(node.args) >= 2 and isinstance(node.args[1], ast.Constant) and isinstance(node.args[1].value, str):
                base = self.path(node.args[0])
                return None if base is None else base + [node.args[1].value]
        if isinstance(node, ast.Subscript):
            base = self.path(node.value)
            key = node.slice
            if base and base[-1] == "__dict__" and isinstance(key, ast.Constant) and isinstance(key.value, str):
                return base[:-1] + [key.value]
        return None

    def bind(self, tree):
        """Finds what the script calls KSR and its parts, wherever it says so."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for name in node.names:
                    if name.name == "KSR":
                        self.names[name.asname or "KSR"] = []
            elif isinstance(node, ast.ImportFrom) and node.module == "KSR":
                for name in node.names:
                    self.names[name.asname or name.name] = [name.name]
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                path = self.path(node.value)
                if path is not None and node.targets[0].id not in self.names:
                    self.names[node.targets[0].id] = path

    def literal(self, node):
        if isinstance(node, ast.Starred):
            return {"kind": "star"}
        place = {"line": getattr(node, "lineno", 0), "column": getattr(node, "col_offset", 0) + 1}
        if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
            return dict(place, kind=type(node.operand.value).__name__)
        if isinstance(node, ast.Constant):
            value = node.value
            if isinstance(value, str):
                return dict(place, kind="str", value=value.encode("utf-8", "replace").decode("utf-8"))
            return dict(place, kind=type(value).__name__)
        return dict(place, kind="other")

    def use(self, node, path, call):
        row = {"path": path, "line": node.lineno, "column": node.col_offset + 1, "args": None}
        if call is not None:
            row["args"] = [self.literal(a) for a in call.args]
            row["keywords"] = len(call.keywords)
        self.uses.append(row)

    def visit_Call(self, node):
        path = self.path(node.func)
        if path:
            self.use(node.func, path, node)
            for child in node.args + [k.value for k in node.keywords]:
                self.visit(child)
            return
        path = self.path(node)
        if path:
            self.use(node, path, None)
            return
        self.generic_visit(node)

    def visit_Attribute(self, node):
        path = self.path(node)
        if path:
            self.use(node, path, None)
        else:
            self.generic_visit(node)
        if isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) and self.owner is not None:
            self.owner["methods"].append(node.attr)

    def visit_Subscript(self, node):
        path = self.path(node)
        if path:
            self.use(node, path, None)
        else:
            self.generic_visit(node)

    def visit_ClassDef(self, node):
        outer, self.owner = self.owner, {
            "bases": [b.id if isinstance(b, ast.Name) else "?" for b in node.bases],
            "methods": [],
        }
        self.classes[node.name] = self.owner
        for child in node.body:
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self.owner["methods"].append(child.name)
            elif isinstance(child, ast.Assign):
                self.owner["methods"] += [t.id for t in child.targets if isinstance(t, ast.Name)]
        self.generic_visit(node)
        self.owner = outer

    def visit_FunctionDef(self, node):
        if self.owner is None:
            returns = []
            for child in ast.walk(node):
                if isinstance(child, ast.Return) and child.value is not None:
                    value = child.value
                    known = isinstance(value, ast.Call) and isinstance(value.func, ast.Name)
                    returns.append(value.func.id if known else "?")
            self.functions[node.name] = {"line": node.lineno, "returns": returns}
        self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef


def survey(source, filename):
    tree = ast.parse(source, filename)
    found = Survey()
    found.bind(tree)
    found.visit(tree)
    others = []
    for node in tree.body:
        if isinstance(node, ast.Assign):
            others += [t.id for t in node.targets if isinstance(t, ast.Name)]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            others += [(n.asname or n.name).split(".")[0] for n in node.names]
    return json.dumps(
        {"uses": found.uses, "classes": found.classes, "functions": found.functions, "others": others}
    )
