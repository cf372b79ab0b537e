from e2i_site.trail.events import register

RUN_STARTED = register("audit.run.started", "Audit started")
FINDING_WAIVED = register("audit.finding.waived", "Finding waived")
WAIVER_REVOKED = register("audit.waiver.revoked", "Waiver revoked")
REMEDY_STARTED = register("audit.remedy.started", "Remedy started")
