"""An audit record on its way to its topic. Pure."""

from hooklane.schemas.codec import AUDITS
from hooklane.schemas.outgoing import Record
from hooklane.schemas.records_operator import AuditRecord
from hooklane.schemas.topics import TopicNames


def audit_record(record: AuditRecord, names: TopicNames) -> Record:
    """In the audit's one partition."""
    return Record(names.audit, 0, record.id.encode(), AUDITS.encode(record))
