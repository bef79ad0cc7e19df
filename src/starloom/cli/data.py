"""`starloom data`."""
import typer
app = typer.Typer()
