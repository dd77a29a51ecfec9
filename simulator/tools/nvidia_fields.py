"""What `nvidia-smi --query-gpu` can be asked: field names with their units, and older names.

The names are those of driver 590 (`nvidia-smi --help-query-gpu`).
"""

# unit as it stands in the CSV header -> the fields that carry it
_BY_UNIT = {
    "": """
        timestamp driver_version vgpu_driver_capability.heterogenous_multivGPU count name serial
        uuid pci.bus_id pci.domain pci.bus pci.device pci.baseClass pci.subClass pci.device_id
        pci.sub_device_id vgpu_device_capability.fractional_multiVgpu
        vgpu_device_capability.heterogeneous_timeSlice_profile
        vgpu_device_capability.heterogeneous_timeSlice_sizes
        vgpu_device_capability.homogeneous_placements vgpu_device_capability.mig_timeSlicing
        vgpu_device_capability.mig_timeSlicing_mode pcie.link.gen.current
        pcie.link.gen.gpucurrent pcie.link.gen.max pcie.link.gen.gpumax pcie.link.gen.hostmax
        pcie.link.width.current pcie.link.width.max index display_mode display_attached
        display_active persistence_mode addressing_mode accounting.mode accounting.buffer_size
        driver_model.current driver_model.pending vbios_version inforom.img inforom.oem
        inforom.ecc inforom.pwr inforom.checksum_validation gpu_recovery_action gom.current
        gom.pending pstate clocks_event_reasons.supported clocks_event_reasons.active
        clocks_event_reasons.gpu_idle clocks_event_reasons.applications_clocks_setting
        clocks_event_reasons.sw_power_cap clocks_event_reasons.hw_slowdown
        clocks_event_reasons.hw_thermal_slowdown clocks_event_reasons.hw_power_brake_slowdown
        clocks_event_reasons.sw_thermal_slowdown clocks_event_reasons.sync_boost compute_mode
        compute_cap encoder.stats.sessionCount encoder.stats.averageFps
        encoder.stats.averageLatency dramEncryption.mode.current dramEncryption.mode.pending
        ecc.mode.current ecc.mode.pending ecc.errors.corrected.volatile.device_memory
        ecc.errors.corrected.volatile.dram ecc.errors.corrected.volatile.register_file
        ecc.errors.corrected.volatile.l1_cache ecc.errors.corrected.volatile.l2_cache
        ecc.errors.corrected.volatile.texture_memory ecc.errors.corrected.volatile.cbu
        ecc.errors.corrected.volatile.sram ecc.errors.corrected.volatile.total
        ecc.errors.corrected.aggregate.device_memory ecc.errors.corrected.aggregate.dram
        ecc.errors.corrected.aggregate.register_file ecc.errors.corrected.aggregate.l1_cache
        ecc.errors.corrected.aggregate.l2_cache ecc.errors.corrected.aggregate.texture_memory
        ecc.errors.corrected.aggregate.cbu ecc.errors.corrected.aggregate.sram
        ecc.errors.corrected.aggregate.total ecc.errors.uncorrected.volatile.device_memory
        ecc.errors.uncorrected.volatile.dram ecc.errors.uncorrected.volatile.register_file
        ecc.errors.uncorrected.volatile.l1_cache ecc.errors.uncorrected.volatile.l2_cache
        ecc.errors.uncorrected.volatile.texture_memory ecc.errors.uncorrected.volatile.cbu
        ecc.errors.uncorrected.volatile.sram ecc.errors.uncorrected.volatile.total
        ecc.errors.uncorrected.aggregate.device_memory ecc.errors.uncorrected.aggregate.dram
        ecc.errors.uncorrected.aggregate.register_file ecc.errors.uncorrected.aggregate.l1_cache
        ecc.errors.uncorrected.aggregate.l2_cache
        ecc.errors.uncorrected.aggregate.texture_memory ecc.errors.uncorrected.aggregate.cbu
        ecc.errors.uncorrected.aggregate.sram ecc.errors.uncorrected.aggregate.total
        ecc.errors.uncorrected.volatile.sram.parity ecc.errors.uncorrected.volatile.sram.secded
        ecc.errors.uncorrected.aggregate.sram.parity
        ecc.errors.uncorrected.aggregate.sram.secded
        ecc.errors.uncorrected.aggregate.sram.thresholdExceeded
        ecc.errors.uncorrected.aggregate.sram.l2 ecc.errors.uncorrected.aggregate.sram.sm
        ecc.errors.uncorrected.aggregate.sram.mcu ecc.errors.uncorrected.aggregate.sram.pcie
        ecc.errors.uncorrected.aggregate.sram.other retired_pages.single_bit_ecc.count
        retired_pages.double_bit.count retired_pages.pending remapped_rows.correctable
        remapped_rows.uncorrectable remapped_rows.pending remapped_rows.failure
        remapped_rows.histogram.max remapped_rows.histogram.high remapped_rows.histogram.partial
        remapped_rows.histogram.low remapped_rows.histogram.none temperature.gpu
        temperature.gpu.tlimit temperature.memory power.management
        power_smoothing.delayed_power_smoothing_supported
        power_smoothing.curr_profile.primary_floor_act_window_multiplier
        power_smoothing.curr_profile.primary_floor_tar_window_multiplier
        power_smoothing.admin_override.primary_floor_act_window_multiplier
        power_smoothing.admin_override.primary_floor_tar_window_multiplier mig.mode.current
        mig.mode.pending gsp.mode.current gsp.mode.default c2c.mode fabric.state fabric.status
        fabric.cliqueId fabric.clusterUuid fabric.health.summary fabric.health.bandwidth
        fabric.health.route_recovery_in_progress fabric.health.route_unhealthy
        fabric.health.access_timeout_recovery fabric.health.incorrect_configuration
        platform.chassis_serial_number platform.slot_number platform.tray_index platform.host_id
        platform.peer_type platform.module_id platform.gpu_fabric_guid hostname
    """,
    "%": """
        fan.speed utilization.gpu utilization.memory utilization.encoder utilization.decoder
        utilization.jpeg utilization.ofa edpp_multiplier
    """,
    "us": """
        clocks_event_reasons_counters.sw_power_cap clocks_event_reasons_counters.sync_boost
        clocks_event_reasons_counters.sw_thermal_slowdown
        clocks_event_reasons_counters.hw_thermal_slowdown
        clocks_event_reasons_counters.hw_power_brake_slowdown
    """,
    "MiB": """
        memory.total memory.reserved memory.used memory.free protected_memory.total
        protected_memory.used protected_memory.free
    """,
    "W": """
        power.draw power.draw.average power.draw.instant power.limit enforced.power.limit
        power.default_limit power.min_limit power.max_limit module.power.draw.average
        module.power.draw.instant module.power.limit module.enforced.power.limit
        module.power.default_limit module.power.min_limit module.power.max_limit
        power_smoothing.primary_power_floor power_smoothing.secondary_power_floor
        power_smoothing.min_primary_floor_activation_offset
        power_smoothing.min_primary_floor_activation_point
        power_smoothing.curr_profile.secondary_power_floor
        power_smoothing.curr_profile.primary_floor_act_offset
        power_smoothing.admin_override.secondary_power_floor
        power_smoothing.admin_override.primary_floor_act_offset
    """,
    "ms": """
        power_smoothing.window_multiplier
    """,
    "MHz": """
        clocks.current.graphics clocks.current.sm clocks.current.memory clocks.current.video
        clocks.applications.graphics clocks.applications.memory
        clocks.default_applications.graphics clocks.default_applications.memory
        clocks.max.graphics clocks.max.sm clocks.max.memory
    """,
}

UNITS: dict[str, str] = {name: unit for unit, names in _BY_UNIT.items() for name in names.split()}
"""Every field that may be asked, and its unit (empty where it has none)."""

ALIASES: dict[str, str] = {
    "gpu_name": "name",
    "gpu_uuid": "uuid",
    "gpu_serial": "serial",
    "gpu_bus_id": "pci.bus_id",
    "clocks.gr": "clocks.current.graphics",
    "clocks.current.gr": "clocks.current.graphics",
    "clocks.sm": "clocks.current.sm",
    "clocks.mem": "clocks.current.memory",
    "clocks.video": "clocks.current.video",
    "clocks.max.gr": "clocks.max.graphics",
    "clocks.max.mem": "clocks.max.memory",
    "persistence": "persistence_mode",
}

APP_UNITS: dict[str, str] = {
    "timestamp": "",
    "gpu_name": "",
    "gpu_bus_id": "",
    "gpu_serial": "",
    "gpu_uuid": "",
    "pid": "",
    "process_name": "",
    "used_gpu_memory": "MiB",
}

APP_ALIASES: dict[str, str] = {"name": "process_name", "used_memory": "used_gpu_memory"}


def canonical(name: str) -> str:
    """The present name of a field that may be asked by an older one."""
    if name.startswith("clocks_throttle_reasons"):
        name = "clocks_event_reasons" + name.removeprefix("clocks_throttle_reasons")
    return ALIASES.get(name, name)
