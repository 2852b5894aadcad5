"""The first hedge, step by step. Open it with `marimo edit notebooks/first_hedge.py`.

It makes a simulated market and a book in a folder of its own; nothing is sent anywhere.
"""

import marimo

app = marimo.App(width="medium", app_title="The first hedge")


@app.cell
def _():
    import tempfile
    from pathlib import Path

    import marimo as mo

    import hedger as hg

    return Path, hg, mo, tempfile


@app.cell
def _(mo):
    mo.md(
        """
        # The first hedge

        A market maker is short calls in BTC. What is out of its band, what brings it back cheapest, and what
        would a crash do to the book before and after?
        """
    )
    return


@app.cell
def _(Path, tempfile):
    from hedger.cli import main

    room = tempfile.TemporaryDirectory(prefix="first-hedge-")  # gone when the notebook is closed
    tape, book_file = Path(room.name, "tape"), Path(room.name, "book.csv")
    main(["tape", "simulate", "--out", str(tape), "--minutes", "5", "--seed", "7"])
    book_file.write_text(
        "venue,symbol,quantity,average_price\n"
        "simulated,BTC,12,\n"
        "simulated,USDC,500000,\n"
        "simulated,BTC-27MAR26-68000-C,-40,0.041\n"
        "simulated,BTC-PERPETUAL,250000,\n"
    )
    return book_file, room, tape


@app.cell
def _(mo):
    mo.md("## What do I hold?")
    return


@app.cell
def _(book_file, hg, tape):
    risk = hg.risk(book_file, tape)
    risk.positions
    return (risk,)


@app.cell
def _(mo):
    mo.md("## What is out of its band?")
    return


@app.cell
def _(risk):
    out = risk.rows.filter("breached")
    out
    return (out,)


@app.cell
def _(mo):
    mo.md("## What brings it back, and what does that cost?")
    return


@app.cell
def _(book_file, hg, tape):
    plan = hg.plan(book_file, tape)
    plan.trades
    return (plan,)


@app.cell
def _(mo, plan):
    bound = plan.document["lower_bound_usd"]
    mo.md(
        f"The ticket costs **{plan.cost_usd:,.2f} USD**; no mix of trades can do it for less than "
        f"**{bound:,.2f} USD**. With the perpetual alone it would be "
        f"**{plan.document['delta_only']['cost_usd']:,.2f} USD**."
    )
    return


@app.cell
def _(plan):
    plan.rows.filter("breached").select("row", "unit", "before", "after", "required_lower", "required_upper")
    return


@app.cell
def _(mo):
    mo.md("## And if the market falls?")
    return


@app.cell
def _(book_file, hg, tape):
    whatif = hg.whatif(
        book_file, tape, spot_pct=[-20, -10, 0, 10, 20], vol_points=[-10, 0, 10], days=[0], hedged=True
    )
    whatif.ladder
    return (whatif,)


@app.cell
def _(mo, whatif):
    worst = whatif.ladder.sort("hedged").head(1)
    mo.md(
        f"The worst cell after the hedge is **{worst['hedged'][0]:,.0f} USD**, at spot "
        f"{worst['spot_pct'][0]:+g} % and vols {worst['vol_points'][0]:+g} points."
    )
    return


if __name__ == "__main__":
    app.run()
