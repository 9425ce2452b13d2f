"""Records silero.json: what the published Python package says about the speech in this repository.

In a virtual environment: pip install numpy torch safetensors silero-vad==6.2.3 onnxruntime==1.31.1
From the repository:      python tests/data/vad/record.py
"""

import json
import pathlib
import wave

import numpy
import torch
from safetensors.numpy import load_file
from silero_vad import get_speech_timestamps, load_silero_vad

DATA = pathlib.Path("tests/data")
WINDOW = 512


def wav(name):
    with wave.open(str(DATA / "demo" / name)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
        return numpy.frombuffer(file.readframes(file.getnframes()), "<i2").astype(numpy.float32) / 32768


clips = {
    "demo/question.wav": wav("question.wav"),
    "golden/audio/fbank_speech.safetensors": load_file(DATA / "golden/audio/fbank_speech.safetensors")["waveform"],
}
network = load_silero_vad(onnx=True, opset_version=15)
recorded = {}
for name, samples in clips.items():
    sound = torch.from_numpy(samples.copy())
    network.reset_states()
    windows = [sound[i : i + WINDOW] for i in range(0, len(sound) - WINDOW + 1, WINDOW)]
    probabilities = [round(float(network(window, 16000)), 6) for window in windows]
    network.reset_states()
    whole = sound[: len(windows) * WINDOW]
    spans = get_speech_timestamps(whole, network, min_silence_duration_ms=32, min_speech_duration_ms=0, speech_pad_ms=0)
    recorded[name] = {"probabilities": probabilities, "spans": [[span["start"], span["end"]] for span in spans]}
(DATA / "vad" / "silero.json").write_text(json.dumps(recorded, indent=None, separators=(", ", ": ")).replace('}, "', '},\n "') + "\n")
