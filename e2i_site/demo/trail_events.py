from e2i_site.trail.events import register

COMPLETED = register("demo.lifecycle.completed", "Demo lifecycle completed")
