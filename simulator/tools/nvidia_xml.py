"""`nvidia-smi -q -x`: the elements of NVIDIA's v13 DTD that describe state and inventory.

The order and the names are those of drivers 570 to 590. `%(field)s` takes the value that
`--query-gpu` gives, without its brackets.
"""

import sys
import time

from simulator.tools.nvidia_options import Options, chosen
from simulator.tools.tables import Row, read_table

_HEAD = """<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v13.dtd">
<nvidia_smi_log>
	<timestamp>%(now)s</timestamp>
	<driver_version>%(driver_version)s</driver_version>
	<cuda_version>%(cuda_version)s</cuda_version>
	<attached_gpus>%(count)s</attached_gpus>
"""

_GPU = """	<gpu id="%(pci.bus_id)s">
		<product_name>%(name)s</product_name>
		<product_brand>NVIDIA</product_brand>
		<product_architecture>%(architecture)s</product_architecture>
		<display_mode>Requested functionality has been deprecated</display_mode>
		<display_attached>%(display_attached)s</display_attached>
		<display_active>%(display_active)s</display_active>
		<persistence_mode>%(persistence_mode)s</persistence_mode>
		<addressing_mode>%(addressing_mode)s</addressing_mode>
		<mig_mode>
			<current_mig>%(mig.mode.current)s</current_mig>
			<pending_mig>%(mig.mode.pending)s</pending_mig>
		</mig_mode>
		<mig_devices>
%(mig_devices)s		</mig_devices>
		<accounting_mode>%(accounting.mode)s</accounting_mode>
		<accounting_mode_buffer_size>%(accounting.buffer_size)s</accounting_mode_buffer_size>
		<serial>%(serial)s</serial>
		<uuid>%(uuid)s</uuid>
		<minor_number>%(index)s</minor_number>
		<vbios_version>%(vbios_version)s</vbios_version>
		<multigpu_board>No</multigpu_board>
		<gpu_recovery_action>%(gpu_recovery_action)s</gpu_recovery_action>
		<pci>
			<pci_bus>%(pci.bus)s</pci_bus>
			<pci_device>%(pci.device)s</pci_device>
			<pci_domain>%(pci.domain)s</pci_domain>
			<pci_device_id>%(pci.device_id)s</pci_device_id>
			<pci_bus_id>%(pci.bus_id)s</pci_bus_id>
		</pci>
		<fan_speed>%(fan.speed)s</fan_speed>
		<performance_state>%(pstate)s</performance_state>
		<clocks_event_reasons>
%(reasons)s		</clocks_event_reasons>
		<fb_memory_usage>
			<total>%(memory.total)s</total>
			<reserved>%(memory.reserved)s</reserved>
			<used>%(memory.used)s</used>
			<free>%(memory.free)s</free>
		</fb_memory_usage>
		<compute_mode>%(compute_mode)s</compute_mode>
		<utilization>
			<gpu_util>%(utilization.gpu)s</gpu_util>
			<memory_util>%(utilization.memory)s</memory_util>
			<encoder_util>%(utilization.encoder)s</encoder_util>
			<decoder_util>%(utilization.decoder)s</decoder_util>
		</utilization>
		<ecc_mode>
			<current_ecc>%(ecc.mode.current)s</current_ecc>
			<pending_ecc>%(ecc.mode.pending)s</pending_ecc>
		</ecc_mode>
		<temperature>
			<gpu_temp>%(temperature.gpu)s</gpu_temp>
			<gpu_temp_tlimit>%(temperature.gpu.tlimit)s</gpu_temp_tlimit>
			<gpu_temp_max_threshold>%(temperature.max)s</gpu_temp_max_threshold>
			<gpu_temp_slow_threshold>%(temperature.slow)s</gpu_temp_slow_threshold>
			<memory_temp>%(temperature.memory)s</memory_temp>
		</temperature>
		<gpu_power_readings>
			<power_state>%(pstate)s</power_state>
			<average_power_draw>%(power.draw.average)s</average_power_draw>
			<instant_power_draw>%(power.draw.instant)s</instant_power_draw>
			<current_power_limit>%(power.limit)s</current_power_limit>
			<requested_power_limit>%(power.limit)s</requested_power_limit>
			<default_power_limit>%(power.default_limit)s</default_power_limit>
			<min_power_limit>%(power.min_limit)s</min_power_limit>
			<max_power_limit>%(power.max_limit)s</max_power_limit>
		</gpu_power_readings>
		<clocks>
			<graphics_clock>%(clocks.current.graphics)s</graphics_clock>
			<sm_clock>%(clocks.current.sm)s</sm_clock>
			<mem_clock>%(clocks.current.memory)s</mem_clock>
			<video_clock>%(clocks.current.video)s</video_clock>
		</clocks>
		<max_clocks>
			<graphics_clock>%(clocks.max.graphics)s</graphics_clock>
			<sm_clock>%(clocks.max.sm)s</sm_clock>
			<mem_clock>%(clocks.max.memory)s</mem_clock>
		</max_clocks>
		<processes>
%(processes)s		</processes>
	</gpu>

"""

_MIG = """			<mig_device>
				<index>%(index)s</index>
				<gpu_instance_id>%(gpu_instance)s</gpu_instance_id>
				<compute_instance_id>%(compute_instance)s</compute_instance_id>
				<device_attributes>
					<shared>
						<multiprocessor_count>%(multiprocessors)s</multiprocessor_count>
					</shared>
				</device_attributes>
				<fb_memory_usage>
					<total>%(memory_total)s</total>
					<reserved>0 MiB</reserved>
					<used>%(memory_used)s</used>
					<free>%(memory_free)s</free>
				</fb_memory_usage>
			</mig_device>
"""

_PROCESS = """			<process_info>
				<gpu_instance_id>%(gpu_instance)s</gpu_instance_id>
				<compute_instance_id>%(compute_instance)s</compute_instance_id>
				<pid>%(pid)s</pid>
				<type>C</type>
				<process_name>%(process_name)s</process_name>
				<used_memory>%(used_gpu_memory)s</used_memory>
			</process_info>
"""

_REASON = "\t\t\t<clocks_event_reason_{name}>{value}</clocks_event_reason_{name}>\n"
_REASON_FIELD = "clocks_event_reasons."


def speak(state_dir: str, options: Options, is_first: bool) -> None:
    """Print one document."""
    gpus = read_table(state_dir, "gpus")
    apps, parts = read_table(state_dir, "apps"), read_table(state_dir, "mig")
    texts = [_HEAD % (gpus[0] | {"now": time.strftime("%a %b %e %H:%M:%S %Y")})]
    for gpu in chosen(gpus, options.devices):
        texts.append(_gpu(gpu, apps, parts))
    texts.append("</nvidia_smi_log>\n")
    sys.stdout.write("".join(texts))


def _gpu(gpu: Row, apps: list[Row], parts: list[Row]) -> str:
    row = {name: _plain(name, value) for name, value in gpu.items()}
    own_parts = [part for part in parts if part["gpu_index"] == gpu["index"]]
    own_apps = [app for app in apps if app["gpu_uuid"] == gpu["uuid"]]
    row["mig_devices"] = "".join(_MIG % part for part in own_parts) or "\t\t\tNone\n"
    row["processes"] = "".join(
        _PROCESS % {name: _plain(name, value) for name, value in app.items()} for app in own_apps
    )
    row["reasons"] = "".join(
        _REASON.format(name=name.removeprefix(_REASON_FIELD), value=value)
        for name, value in gpu.items()
        if name.startswith(_REASON_FIELD) and value.endswith("ctive")
    )
    return _GPU % row


def _plain(name: str, value: str) -> str:
    """The value as the XML has it: no brackets, degrees with their unit, PCI numbers bare."""
    if value.startswith("["):
        return value.strip("[]")
    if name.startswith("temperature."):
        return f"{value} C"
    if name.startswith("pci.") and value.startswith("0x"):
        return value[2:]
    return value
