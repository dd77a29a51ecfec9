#!/bin/sh
# prometheus-client 0.23.1: its reader of the text format renames the samples of a counter whose
# name does not end in "_total".
#
# NVIDIA's dcgm-exporter writes counters such as DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION (mJ) with
# `# TYPE … counter`, in the text format 0.0.4, which asks for no ending of a name. One expects the samples under the name that stands in the text, and looks them up by
# the name that the exporter's table gives. `text_string_to_metric_families` appends "_total" to the
# sample's name instead, so nothing is found under the exporter's own name, and no error says so.
# Of a counter that does end in "_total" (vLLM's vllm:prompt_tokens_total) the sample keeps its
# name, but the family loses the ending: by family, too, the name in the text finds nothing.
#
# Seen:
#   DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION: samples DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION_total
#   vllm:prompt_tokens: samples vllm:prompt_tokens_total
#   DCGM_FI_DEV_GPU_UTIL: samples DCGM_FI_DEV_GPU_UTIL
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --quiet install prometheus-client==0.23.1 2>"$folder/pip" || { cat "$folder/pip"; exit 2; }
"$folder/venv/bin/python" - >"$folder/seen" <<'PYTHON'
from prometheus_client.parser import text_string_to_metric_families

TEXT = """\
# HELP DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION Total energy consumption since boot (in mJ).
# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{gpu="0"} 123
# HELP vllm:prompt_tokens_total Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0"} 10.0
# HELP DCGM_FI_DEV_GPU_UTIL GPU utilization (in %).
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{gpu="0"} 5
"""
for family in text_string_to_metric_families(TEXT):
    print(f"{family.name}: samples {', '.join(sample.name for sample in family.samples)}")
PYTHON
cat "$folder/seen"
diff - "$folder/seen" <<'SEEN'
DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION: samples DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION_total
vllm:prompt_tokens: samples vllm:prompt_tokens_total
DCGM_FI_DEV_GPU_UTIL: samples DCGM_FI_DEV_GPU_UTIL
SEEN
