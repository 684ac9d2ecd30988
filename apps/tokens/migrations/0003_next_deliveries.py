from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """A million cards are due at one moment: without the key in the index each claim would sort them all."""

    atomic = False

    dependencies = [("tokens", "0002_shown_accounts")]

    operations = [
        AddIndexConcurrently(
            "tokendelivery",
            models.Index(condition=models.Q(due_at__isnull=False), fields=["due_at", "id"], name="delivery_next"),
        ),
        RemoveIndexConcurrently("tokendelivery", "delivery_due"),
    ]
