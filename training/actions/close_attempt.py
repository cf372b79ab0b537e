"""End what an attempt left behind whose process was killed."""

from __future__ import annotations

from django.db import transaction

from e2i_site.jobs.enqueue import enqueue
from e2i_site.jobs.handlers import Wait
from e2i_site.mlflow_connector import get_connector
from e2i_site.mlflow_connector.errors import Conflict, NotFound


def finish_journal(journal_id: str) -> bool:
    """End the journal of an attempt that had done everything; whether it ends as FINISHED.

    Raises `Wait` while the process that writes it still lives.
    """
    connector = get_connector()
    try:
        connector.close_journal(journal_id, "FINISHED")
        return connector.journal_ending(journal_id) == "FINISHED"
    except NotFound:
        return False
    except Conflict as error:
        raise Wait("An earlier attempt is still running.", seconds=10) from error


def close_journal(journal_id: str) -> None:
    """End an earlier attempt's journal as KILLED and have it delivered; "" is no journal.

    Raises `Wait` while the process that writes it still lives.
    """
    connector = get_connector()
    if not journal_id or not connector.has_journal(journal_id):
        return
    if connector.journal_result(journal_id).done:
        return
    nested = [
        pending.journal_id
        for pending in connector.pending_journals()
        if pending.journal_id.startswith(f"{journal_id}.") and not pending.ended
    ]
    try:
        for each in (*nested, journal_id):
            connector.close_journal(each, "KILLED")
    except NotFound:
        return
    except Conflict as error:
        raise Wait("An earlier attempt is still running.", seconds=10) from error
    with transaction.atomic():
        enqueue(
            "training.deliver", payload={"journal": journal_id}, key=f"deliver:journal:{journal_id}"
        )
