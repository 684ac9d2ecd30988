"""The strings the simulated CPO hangs on: JSON under /control/, from this machine and with the key in its data folder.

GET  /control/state                              what there is, what was played, how far the play is
GET  /control/token-a                            {"versions_url", "token"}: for an eMSP that begins
POST /control/register  {versions_url, token_a}  we begin
POST /control/renew                              credentials by PUT
POST /control/unregister                         credentials by DELETE
POST /control/play      {step, …, wait: false}   a step of behaviour.py; its result, kept by `name`, is the answer without `wait`
POST /control/fault     {name, value, module, method, times, skip}, or {} to clear (see faults.py)
"""

import threading
from typing import TYPE_CHECKING, Any

from apps.simulator.emsp import Answer
from apps.simulator.wire import Reply, Request, encode

if TYPE_CHECKING:
    from apps.simulator.server import Simulator


def reply(simulator: "Simulator", request: Request, client: str) -> Reply:
    if client != "127.0.0.1" or request.headers.get("X-Control-Key") != simulator.control_key:
        return _said(403, {"error": "give the key of control.key as X-Control-Key, from this machine"})
    act = ACTS.get((request.method, request.path.rstrip("/").removeprefix("/control/")))
    if act is None:
        return _said(404, {"error": f"one of {', '.join(' '.join(known) for known in ACTS)}"})
    try:
        return _said(200, act(simulator, **(request.json() if request.body else {})))
    except (ValueError, TypeError, LookupError) as reason:
        return _said(400, {"error": str(reason)})


def _said(status: int, body: Any) -> Reply:
    return Reply(status, encode(body))


def _state(simulator: "Simulator") -> dict[str, Any]:
    return simulator.state()


def _token_a(simulator: "Simulator") -> dict[str, Any]:
    return {"versions_url": simulator.versions_url, "token": simulator.token_a()}


def _register(simulator: "Simulator", versions_url: str, token_a: str) -> dict[str, Any]:
    return _told(simulator.register(versions_url, token_a))


def _renew(simulator: "Simulator") -> dict[str, Any]:
    return _told(simulator.renew())


def _unregister(simulator: "Simulator") -> dict[str, Any]:
    return _told(simulator.unregister())


def _told(answer: Answer) -> dict[str, Any]:
    shown = ("outcome", "http_status", "status_code", "message")
    return {name: getattr(answer, name) for name in shown}


def _play(simulator: "Simulator", step: str, wait: bool = True, **how: Any) -> dict[str, Any]:
    if wait:
        return simulator.play(step, **how)
    threading.Thread(target=simulator.play_aside, args=(step,), kwargs=how, daemon=True).start()
    return {"playing": step}


def _fault(simulator: "Simulator", name: str | None = None, **how: Any) -> dict[str, Any]:
    if name is None:
        simulator.faults.clear()
    else:
        simulator.faults.switch_on(name, **how)
    return {"faults": simulator.faults.state()}


ACTS = {
    ("GET", "state"): _state,
    ("GET", "token-a"): _token_a,
    ("POST", "register"): _register,
    ("POST", "renew"): _renew,
    ("POST", "unregister"): _unregister,
    ("POST", "play"): _play,
    ("POST", "fault"): _fault,
}
