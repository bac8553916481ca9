"""The smallest Typer program: one command, one argument."""

import typer

app = typer.Typer()


@app.command()
def hello(name: str) -> None:
    """Say hello to NAME."""
    print(f"Hello {name}")


if __name__ == "__main__":
    app()
