"""`python -m docs.generate`: writes every page of docs/reference/."""

from __future__ import annotations

from docs.generate.pages import FOLDER, pages


def main() -> None:
    """What is in the folder and no page any more goes."""
    made = pages()
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
