"""`python -m docs.generate`: writes every page of docs/reference/ and docs/aws/."""

from __future__ import annotations

from docs.generate.pages import folders


def main() -> None:
    """What is in the folder and no page any more goes."""
    for folder, made in folders().items():
        folder.mkdir(exist_ok=True)
        for old in folder.glob("*.md"):
            if old.name not in made:
                old.unlink()
        for name, text in made.items():
            (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
