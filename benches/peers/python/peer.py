"""What `cargo bench --bench versus` asks of Python's mite: journeys at once, each with one GET in one transaction."""

import atexit

from mite.volume_model import Constant
from mite_http import mite_http

answered = 0


@mite_http
async def closed(ctx):
    global answered
    async with ctx.transaction("test"):
        response = await ctx.http.get(ctx.config.get("url"))
        assert response.status_code == 200
        answered += 1


def scenario(config):
    # It numbers seconds from 0, and goes on through the one that it is told.
    seconds, running = int(config.get("seconds")), int(config.get("running"))
    return [("peer:closed", None, Constant(duration=seconds - 1, tps=running))]


# Its own report wants two intervals of two seconds.
atexit.register(lambda: print(f"{answered} requests in all"))
