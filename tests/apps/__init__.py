"""Apps that tests serve; those in processes of their own are named `apps.module:name`."""
