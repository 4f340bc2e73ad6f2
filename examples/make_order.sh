#!/usr/bin/env bash
# Makes examples/order.flac: a caller's order in a synthetic voice that no training corpus uses
# (flite's kal16), 16 kHz mono, with half a second of silence before and after.
# Needs flite (Debian: apt-get install flite) and a python with numpy and soundfile.
set -euo pipefail
order="$(dirname "$0")/order.flac"

words="hi, could i get a large cappuccino with some soy milk and brown sugar please"
spoken="$(mktemp --suffix=.wav)"
trap 'rm -f "$spoken"' EXIT

flite -voice kal16 -t "$words" -o "$spoken"
"${PYTHON:-python3}" - "$spoken" "$order" <<'PYTHON'
import sys

import numpy as np
import soundfile as sf

samples, rate = sf.read(sys.argv[1], dtype="int16")
if rate != 16_000 or samples.ndim != 1:
    sys.exit(f"{sys.argv[1]}: expected 16 kHz mono, found {rate} Hz, {samples.ndim} dimensions")
silence = np.zeros(rate // 2, np.int16)
sf.write(sys.argv[2], np.concatenate([silence, samples, silence]), rate, subtype="PCM_16")
PYTHON
