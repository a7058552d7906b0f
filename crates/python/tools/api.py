"""Writes `docs/python-api.md` from the package's signatures and docstrings: `python crates/python/tools/api.py`.

The sources are read, not imported, so that nothing needs to be built or installed.
"""

import ast
import pathlib
import re
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[3]
SOURCES = ROOT / "crates" / "python" / "python" / "loclin"
PAGE = ROOT / "docs" / "python-api.md"

#: The sections of the page: title, the prefix of names, and modules whose public functions and classes stand there.
SECTIONS = (
    ("Networks", "loclin", ("loading.py",)),
    ("Questions", "loclin", ("network.py", "balls.py")),
    ("Attribution", "loclin", ("attribution.py",)),
    ("Answers", "loclin", ("results.py",)),
    ("Training", "loclin.torch", ("torch.py",)),
    ("Pictures", "loclin.plots", ("plots.py",)),
    ("Errors", "loclin", ("_native.pyi",)),
)

#: Classes that are parts of another one, and whose methods stand there.
PARTS = {"Balls": "Network"}

HEAD = """# Python: all functions

Written from the package's docstrings by `python crates/python/tools/api.py`: change those, not this page.
[Python](python.md) introduces them.
"""


def page() -> str:
    """The page in Markdown."""
    names = _public()
    lines = [HEAD]
    for title, prefix, modules in SECTIONS:
        lines.append(f"## {title}\n")
        for module in modules:
            tree = ast.parse((SOURCES / module).read_text(encoding="utf-8"))
            for node in tree.body:
                if not isinstance(node, (ast.FunctionDef, ast.ClassDef)) or node.name.startswith("_"):
                    continue
                if module == "_native.pyi" and not getattr(node, "bases", None):
                    # What the engine has beside errors is not for people.
                    continue
                if node.name in PARTS:
                    lines += _members(node, PARTS[node.name])
                elif node.name in names or prefix != "loclin":
                    lines += _described(node, prefix)
    return "\n".join(lines).rstrip() + "\n"


def _public() -> "set[str]":
    """The names that the package exports."""
    tree = ast.parse((SOURCES / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    raise SystemExit("loclin/__init__.py: no __all__")


def _described(node: ast.AST, prefix: str) -> "list[str]":
    """A function or a class with its members."""
    if isinstance(node, ast.FunctionDef):
        return [f"### `{prefix}.{node.name}`\n", _signature(node, node.name), _text(node)]
    bases = ", ".join(base for base in map(ast.unparse, node.bases) if base not in PARTS)
    base = f"({bases})" if bases else ""
    return [f"### `class {prefix}.{node.name}{base}`\n", _text(node), *_members(node, node.name)]


def _members(node: ast.ClassDef, owner: str) -> "list[str]":
    """Fields and public methods of a class."""
    lines, fields = [], []
    for at, member in enumerate(node.body):
        if isinstance(member, ast.AnnAssign) and not member.target.id.startswith("_"):
            after = node.body[at + 1] if at + 1 < len(node.body) else None
            said = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
            kind = ast.unparse(member.annotation).strip("'\"")
            fields.append(f"- `{member.target.id}: {kind}`: {_inline(' '.join(said.split()))}")
        if isinstance(member, ast.FunctionDef) and not member.name.startswith("_"):
            if any(ast.unparse(mark) == "property" for mark in member.decorator_list):
                kind = ast.unparse(member.returns).strip("'\"") if member.returns else "Any"
                lines += [f"#### `{owner}.{member.name}: {kind}`\n", _text(member)]
            else:
                lines += [f"#### `{owner}.{member.name}`\n", _signature(member, member.name), _text(member)]
    return ([*fields, ""] if fields else []) + lines


def _signature(node: ast.FunctionDef, name: str) -> str:
    """How it is called, one argument a line where one line is too short."""
    given = node.args
    parts = []
    defaults = [None] * (len(given.args) - len(given.defaults)) + given.defaults
    parts += [_argument(*pair) for pair in zip(given.args, defaults) if pair[0].arg != "self"]
    if given.kwonlyargs:
        parts.append("*")
        parts += [_argument(*pair) for pair in zip(given.kwonlyargs, given.kw_defaults)]
    end = f" -> {_kind(node.returns)}" if node.returns else ""
    line = f"{name}({', '.join(parts)}){end}"
    if len(line) > 100:
        line = f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){end}"
    return f"```python\n{line}\n```\n"


def _argument(argument: ast.arg, default: "ast.expr | None") -> str:
    kind = f": {_kind(argument.annotation)}" if argument.annotation else ""
    if default is None:
        return argument.arg + kind
    return f"{argument.arg}{kind} = {ast.unparse(default)}"


def _kind(annotation: ast.expr) -> str:
    return ast.unparse(annotation).strip("'\"")


def _text(node: ast.AST) -> str:
    """A docstring as Markdown."""
    said = ast.get_docstring(node)
    if not said:
        raise SystemExit(f"{node.name}: no docstring")
    lines, done = said.splitlines(), []
    while lines:
        line = lines.pop(0)
        if line.startswith(">>> "):
            example = [line]
            while lines and lines[0].strip():
                example.append(lines.pop(0))
            done += ["```python", *example, "```"]
        elif lines and re.fullmatch("-{3,}", lines[0]):
            lines.pop(0)
            done += [f"**{line}**", ""]
            done += _terms(lines)
        else:
            done.append(_inline(line))
    return "\n".join(done).rstrip() + "\n"


def _terms(lines: "list[str]") -> "list[str]":
    """A list of terms, each with its indented text below it."""
    done = []
    while lines and (lines[0].strip() or (len(lines) > 1 and lines[1].startswith(" "))):
        term, said = lines.pop(0), []
        while lines and lines[0].startswith(" "):
            said.append(lines.pop(0))
        done.append(f"- `{term}`: " + _inline(" ".join(textwrap.dedent("\n".join(said)).split())))
    return done


def _inline(text: str) -> str:
    """Marks of reStructuredText within a line as those of Markdown."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text)
    return text.replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: written")
