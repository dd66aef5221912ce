"""Output: what a job printed, in every format and range AWX knows."""

import html
import re

from pegboard_awx.double.kinds import Row
from pegboard_awx.double.refusals import Refusal
from pegboard_awx.double.visits import Reply, Visit

COLOR = re.compile(r"\x1b\[[0-9;]*m")
PLAIN = "text/plain; charset=utf-8"
FORMATS = ("api", "html", "txt", "ansi", "json", "txt_download", "ansi_download")
PAGE = "<!DOCTYPE HTML>\n<html>\n  <head><title>Type</title></head>\n  <body><pre>{}</pre></body>\n</html>\n"
REFUSED = (
    "<!DOCTYPE html>\n<html>\n  <head><title>AWX</title></head>\n  <body><h1>406 Not Acceptable</h1></body>\n</html>\n"
)


def stdout(visit: Visit, job: Row) -> Reply:
    """Answer a request for the output of a job."""
    wanted = visit.asked("format") or _negotiated(visit.accept)
    if wanted not in FORMATS:
        raise Refusal(404, {"detail": "Not found."})
    if wanted.startswith(("txt", "ansi")) and not _takes(visit.accept, "text/plain"):
        raise Refusal(406, REFUSED)
    text = printed(visit, job)
    if wanted.endswith("_download"):
        name = f"job_{job['id']}.txt"
        body = COLOR.sub("", text) if wanted.startswith("txt") else text
        return Reply(body=body, type="text/plain", headers={"Content-Disposition": f'attachment; filename="{name}"'})
    most = visit.world.setting("jobs", "STDOUT_MAX_BYTES_DISPLAY")
    if len(text) > most:
        text = (
            f"Standard Output too large to display ({len(text)} bytes), "
            f"only download supported for sizes over {most} bytes."
        )
    return _formatted(visit, wanted, text)


def printed(visit: Visit, job: Row) -> str:
    """The output so far, with its colors."""
    parts = [event["stdout"].replace("\r\n", "\n") + "\n" for event in visit.life.events(job) if event["stdout"]]
    return "".join(parts)


def _formatted(visit: Visit, wanted: str, text: str) -> Reply:
    if wanted == "txt":
        return Reply(body=COLOR.sub("", text), type=PLAIN)
    if wanted == "ansi":
        return Reply(body=text, type=PLAIN)
    lines = text.splitlines(keepends=True)
    start, end = _range(visit, len(lines))
    content = "".join(lines[start:end])
    if wanted == "json":
        told = {"range": {"start": start, "end": end, "absolute_end": len(lines)}, "content": content}
        return Reply(body=told)
    return Reply(body=PAGE.format(html.escape(COLOR.sub("", content))), type="text/html; charset=utf-8")


def _range(visit: Visit, count: int) -> tuple[int, int]:
    start, end = visit.asked("start_line"), visit.asked("end_line")
    first = int(start) if start.isdecimal() else 0
    last = min(int(end), count) if end.isdecimal() else count
    return first, last


def _negotiated(accept: str) -> str:
    if accept.startswith("text/plain"):
        return "txt"
    return "json" if accept.startswith("application/json") else "api"


def _takes(accept: str, type_: str) -> bool:
    return any(part.split(";")[0].strip() in ("*/*", type_, "text/*") for part in accept.split(","))
