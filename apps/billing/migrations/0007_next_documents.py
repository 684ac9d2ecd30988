from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """All documents of a run are due at one moment: without the key in the index each claim would sort them all."""

    atomic = False

    dependencies = [("billing", "0006_invoices_of_cpos")]

    operations = [
        AddIndexConcurrently(
            "document",
            models.Index(condition=models.Q(due_at__isnull=False), fields=["due_at", "id"], name="document_next"),
        ),
        RemoveIndexConcurrently("document", "document_due"),
    ]
