from e2i_site.trail.events import register

CANCELLED = register("jobs.job.cancelled", "Job cancelled")
