"""What `cargo bench --bench versus` asks of Python's mite: 64 journeys at once, each with one GET in one transaction."""

from mite.volume_model import Constant
from mite_http import mite_http


@mite_http
async def closed(ctx):
    async with ctx.transaction("test"):
        await ctx.http.get(ctx.config.get("url"))


def scenario(config):
    # It numbers seconds from 0, and goes on through the one that it is told.
    seconds, running = int(config.get("seconds")), int(config.get("running"))
    return [("peer:closed", None, Constant(duration=seconds - 1, tps=running))]
