"""Migrations that hold their locks for no longer than PostgreSQL needs (trust R23)."""

from django.db import migrations


class AtOnce(migrations.Migration):
    """All statements are made up first, then run: Django thinks for longer than they take, and would hold their locks
    meanwhile. For several changes of a table that others use.
    """

    def apply(self, project_state, schema_editor, collect_sql=False):
        """ValueError where an operation is no SQL."""
        if collect_sql:
            return super().apply(project_state, schema_editor, collect_sql=True)
        if not all(operation.reduces_to_sql for operation in self.operations):
            raise ValueError(f"{self} does something that cannot be made up first")
        with schema_editor.connection.schema_editor(collect_sql=True, atomic=False) as draft:
            after = super().apply(project_state, draft, collect_sql=True)
        for statement in draft.collected_sql:
            if not statement.startswith("--"):
                schema_editor.execute(statement, params=None)
        return after
