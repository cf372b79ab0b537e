"""What the audit tells people."""

from e2i_site.notifications.events import register

UNSAFE = register("audit.finding.unsafe", "Something is wrong or unsafe now (P0)", mandatory=True)
URGENT = register("audit.finding.urgent", "Evidence or a link is missing (P1)")
