"""granian's settings: flags, variables, and what they take.

A setting's variable is GRANIAN_ and its name. A switch has a second flag, with `no-`, that turns it
off. What may be given several times has a variable with spaces between its values, or colons where
they are paths.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Takes(Enum):
    VALUE = "one value"
    SWITCH = "none: it is on or off"
    TEXTS = "one of several texts"
    PATHS = "one of several paths"


@dataclass(frozen=True)
class Setting:
    name: str
    flag: str
    takes: Takes

    @property
    def variable(self) -> str:
        return f"GRANIAN_{self.name.upper()}"

    @property
    def flags(self) -> dict[str, str]:
        """Each flag, with the value that a switch has by it."""
        if self.takes is Takes.SWITCH:
            return {self.flag: "on", f"--no-{self.flag[2:]}": "off"}
        return {self.flag: ""}


# Words of a text, so that they can be read.
_VALUES = """
    host port uds uds_permissions interface http workers blocking_threads
    blocking_threads_idle_timeout runtime_threads runtime_blocking_threads runtime_mode loop
    task_impl backlog backpressure http1_buffer_size http1_header_read_timeout
    http2_initial_connection_window_size http2_initial_stream_window_size
    http2_keep_alive_interval http2_keep_alive_timeout http2_max_concurrent_streams
    http2_max_frame_size http2_max_headers_size http2_max_send_buffer_size log_level log_config
    ssl_certificate ssl_keyfile ssl_keyfile_password ssl_protocol_min ssl_ca url_path_prefix
    respawn_interval rss_sample_interval rss_samples workers_lifetime workers_max_rss
    workers_kill_timeout working_dir static_path_dir_to_file static_path_expires
    metrics_scrape_interval metrics_address metrics_port reload_tick process_name pid_file
"""
_SWITCHES = """
    http1_keep_alive http1_pipeline_flush http2_adaptive_window ssl_client_verify
    respawn_failed_workers factory reload reload_ignore_worker_failure
"""
_TEXTS = "static_path_route reload_ignore_dirs reload_ignore_patterns"
_PATHS = "ssl_crl env_files static_path_mount reload_paths reload_ignore_paths"
# Those whose flags have other names.
_NAMED = (
    Setting("websockets", "--ws", Takes.SWITCH),
    Setting("log_enabled", "--log", Takes.SWITCH),
    Setting("log_access_enabled", "--access-log", Takes.SWITCH),
    Setting("log_access_fmt", "--access-log-fmt", Takes.VALUE),
    Setting("metrics_enabled", "--metrics", Takes.SWITCH),
    # Of versions before 2.
    Setting("threads", "--threads", Takes.VALUE),
    Setting("threading_mode", "--threading-mode", Takes.VALUE),
    Setting("loop_opt", "--opt", Takes.SWITCH),
)


def _all() -> dict[str, Setting]:
    kinds = {
        Takes.VALUE: _VALUES,
        Takes.SWITCH: _SWITCHES,
        Takes.TEXTS: _TEXTS,
        Takes.PATHS: _PATHS,
    }
    regular = [
        Setting(name, f"--{name.replace('_', '-')}", takes)
        for takes, names in kinds.items()
        for name in names.split()
    ]
    return {setting.name: setting for setting in (*regular, *_NAMED)}


SETTINGS: Mapping[str, Setting] = _all()
"""By name, which is granian's own."""

FLAGS: Mapping[str, Setting] = {
    flag: setting for setting in SETTINGS.values() for flag in setting.flags
}
VARIABLES: Mapping[str, Setting] = {setting.variable: setting for setting in SETTINGS.values()}
