"""What the registry writes to the trail."""

from e2i_site.trail.events import register

VERSION_REGISTERED = register("registry.version.registered", "Version registered")
STAGE_CHANGED = register("registry.version.stage_changed", "Stage changed")
PROMOTION_REQUESTED = register("registry.promotion.requested", "Promotion requested")
PROMOTION_REVIEWED = register("registry.promotion.reviewed", "Promotion reviewed")
PROMOTION_APPROVED = register("registry.promotion.approved", "Promotion approved")
PROMOTION_REJECTED = register("registry.promotion.rejected", "Promotion rejected")
PROMOTION_WITHDRAWN = register("registry.promotion.withdrawn", "Promotion withdrawn")
PROMOTION_SUPERSEDED = register("registry.promotion.superseded", "Promotion superseded")
PROMOTION_APPLIED = register("registry.promotion.applied", "Promotion applied")
PROMOTION_FAILED = register("registry.promotion.failed", "Promotion failed")
IDENTITY_NOT_PROVEN = register("registry.promotion.identity_not_proven", "Signature refused")
PROMOTION_CARRIED = register("registry.promotion.carried", "Promotion carried to MLflow")
APPROVALS_VOIDED = register("registry.promotion.approvals_voided", "Approvals voided")
BREAK_GLASS = register("registry.promotion.break_glass", "Break-glass: past its gates")
BREAK_GLASS_REVIEWED = register("registry.promotion.break_glass_reviewed", "Break-glass judged")
EMERGENCY_STOP = register("registry.version.emergency_stop", "Emergency stop")
POLICY_PUBLISHED = register("registry.policy.published", "Policy published")
POLICY_ASSIGNED = register("registry.policy.assigned", "Policy assigned")
DIGEST_COMPUTED = register("registry.version.digest_computed", "Artifact digest computed")
