from e2i_site.audit.models.finding import Finding, Waiver
from e2i_site.audit.models.run import AuditRun, CheckResult, SubjectResult

__all__ = ["AuditRun", "CheckResult", "Finding", "SubjectResult", "Waiver"]
