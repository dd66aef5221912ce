"""Weather for the hub: one tool over a shared HTTP client."""

from pegboard import HTTP, Call, Plugin, PluginSettings, hookimpl, tool


class Settings(PluginSettings):
    url: str = "https://wttr.in"


@tool(read_only=True)
async def forecast(city: str, call: Call[Settings]) -> str:
    """Tell tomorrow's weather in a city."""
    http = await call.pool(HTTP, call.settings.url)
    response = await http.get(f"/{city}", params={"format": "3"})
    return response.raise_for_status().text


@hookimpl
def hub_plugin() -> Plugin:
    return Plugin(name="weather", tools=[forecast], settings=Settings)
