"""The Celery app and the timetable. Every entry may run twice or be missed: each catches up by itself."""

import os

from celery import Celery
from celery.schedules import crontab
from celery.signals import setup_logging, task_prerun, worker_process_init

from emsp import garbage, logs
from emsp.upkeep import Upkeep

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "emsp.settings")

app = Celery("emsp")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(Upkeep)
setup_logging.connect(logs.keep_loggers)
task_prerun.connect(logs.bind_task)
worker_process_init.connect(garbage.leave_what_stays)

# By who waits: a driver at a charge point, a partner, nobody.
app.conf.task_routes = {
    "apps.charging.tasks.send_commands": {"queue": "driver_waits"},
    "apps.charging.tasks.sweep_commands": {"queue": "driver_waits"},
    "apps.billing.tasks.pull_due": {"queue": "roaming"},
    "apps.billing.tasks.*": {"queue": "billing"},
    "apps.*.tasks.*": {"queue": "roaming"},
    "emsp.tasks.*": {"queue": "billing"},
}
EVERY_MINUTE_S = 60
HEARTBEATS = {
    f"be heard by the workers of {queue}": {
        "task": "emsp.tasks.hear_timetable",
        "args": [queue],
        "schedule": EVERY_MINUTE_S,
        "options": {"queue": queue, "expires": EVERY_MINUTE_S},
    }
    for queue in sorted({route["queue"] for route in app.conf.task_routes.values()})
}
app.conf.beat_schedule = HEARTBEATS | {
    "pull tariffs that are due": {"task": "apps.tariffs.tasks.pull_due", "schedule": 60},
    "pull locations that are due": {"task": "apps.locations.tasks.pull_due", "schedule": 60},
    "recognise EVSEs that have several routes": {"task": "apps.locations.tasks.recognise_routes", "schedule": 300},
    "pull parties behind hubs that are due": {"task": "apps.partners.tasks.pull_due", "schedule": 60},
    "pull sessions and CDRs that are due": {"task": "apps.charging.tasks.pull_due", "schedule": 60},
    "pull what invoices of CPOs are for": {"task": "apps.billing.tasks.pull_due", "schedule": 60},
    "ask for sessions that fell silent": {"task": "apps.charging.tasks.ask_for_silent", "schedule": 600},
    "match and check CDRs": {"task": "apps.charging.tasks.sweep_cdrs", "schedule": 30},
    "send commands and stop waiting for them": {"task": "apps.charging.tasks.sweep_commands", "schedule": 10},
    "rate CDRs": {"task": "apps.billing.tasks.rate_new_cdrs", "schedule": 30},
    "go on with invoice runs": {"task": "apps.billing.tasks.issue_runs", "schedule": 60},
    "render documents": {"task": "apps.billing.tasks.render_documents", "schedule": 60},
    "check partners that somebody wants checked": {"task": "apps.onboarding.tasks.make_reports", "schedule": 60},
    "tell partners of changed cards": {"task": "apps.tokens.tasks.sweep_tokens", "schedule": 30},
    "compare all cards with all partners": {
        "task": "apps.tokens.tasks.enlist_tokens",
        "schedule": crontab(minute="17"),
    },
    "take what was sent of parties approved since": {"task": "emsp.tasks.take_approved", "schedule": 60},
    "reach parties as agreements say": {"task": "apps.partners.tasks.take_routes", "schedule": crontab(minute="2")},
    "look at certificates that are due": {"task": "apps.partners.tasks.look_at_certificates", "schedule": 600},
    "look again at CDRs that are not as agreed": {
        "task": "apps.charging.tasks.look_again",
        "schedule": crontab(hour="2", minute="13"),
    },
    "forget old messages": {"task": "emsp.tasks.forget", "schedule": crontab(minute="23")},
    "seal days of changes that are over": {"task": "emsp.tasks.seal_audit_days", "schedule": crontab(minute="11")},
    "look at the invariants": {
        "task": "emsp.tasks.inspect_invariants",
        "schedule": crontab(hour="3", minute="41"),
    },
}
