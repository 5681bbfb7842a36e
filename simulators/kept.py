"""What a live run keeps for the next one: the faults in force and the device alarms that stand, so
that a run that is started again goes on with them and leaves no alarm standing for ever."""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from simulators.faults import DeviceAlarm, FaultError
from simulators.province import Province


class _State(msgspec.Struct, kw_only=True):
    """The state file."""

    faults: list[tuple[str, str, int]] = []
    alarms: list[tuple[str, str, DeviceAlarm]] = []


class Kept:
    """The state file of one run. Where ``path`` is None nothing is kept."""

    def __init__(self, path: Path | None, province: Province) -> None:
        self._path = path
        self._province = province
        self._written = b""
        self._restored = False

    def write(self) -> None:
        """Write the state file when it would be different; never before ``restore`` has taken over
        what an earlier run left in it. Where it cannot be written, a run that is started again
        begins anew; this one goes on."""
        if self._path is None or not self._restored:
            return
        province = self._province
        state = _State(
            faults=[(f.fault, f.asset, f.until_ms) for f in province.faults.active],
            alarms=[(*key, words) for key, words in province.device_alarms.open.items()],
        )
        content = msgspec.json.encode(state)
        if content != self._written:
            beside = self._path.with_name(self._path.name + ".new")
            with contextlib.suppress(OSError):
                beside.write_bytes(content)
                beside.replace(self._path)
            self._written = content

    def restore(self) -> None:
        """Go on with what an earlier run left. A file that cannot be read is as good as none."""
        path, province = self._path, self._province
        self._restored = True
        if path is None or not path.exists():
            return
        try:
            state = msgspec.json.decode(path.read_bytes(), type=_State)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return
        for fault, asset, until_ms in state.faults:
            left_s = (until_ms - province.now_ms) / 1000.0
            if left_s >= 1.0:
                with contextlib.suppress(FaultError):  # the asset may be gone
                    province.begin(fault, asset, for_s=left_s)
        standing = {(asset, alarm_id): words for asset, alarm_id, words in state.alarms}
        province.device_alarms.adopt(standing, province.now_ms)
