// llama.cpp, as node-llama-cpp packs it for this machine's processor: how fast it reads and writes.
//
//   npm install --ignore-scripts node-llama-cpp@3.22.1 @node-llama-cpp/linux-x64@3.22.1
//   node llama.mjs MODEL.gguf THREADS PROMPT_TOKENS ANSWER_TOKENS
//
// Prints one line of JSON: milliseconds to load, to read the prompt, and tokens a second.
import {readFileSync} from "node:fs";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const [path, threads, prompt, answer] = process.argv.slice(2);
const text = readFileSync(0, "utf8");
const began = performance.now();
const llama = await getLlama({build: "never", gpu: false, maxThreads: Number(threads), logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath: path});
const context = await model.createContext({contextSize: 2048, batchSize: 512, threads: Number(threads)});
const loaded = performance.now();
const tokens = model.tokenize(text).slice(0, Number(prompt));
const sequence = context.getSequence();
const times = [];
const started = performance.now();
for await (const _ of sequence.evaluate(tokens, {temperature: 0})) {
    times.push(performance.now());
    if (times.length > Number(answer)) break;
}
const decode = (times.length - 1) / (times.at(-1) - times[0]) * 1000;
console.log(JSON.stringify({
    load_ms: loaded - began,
    first_token_ms: times[0] - started,
    prefill: tokens.length / (times[0] - started) * 1000,
    decode,
    tokens: tokens.length,
    rss_mb: process.resourceUsage().maxRSS / 1000,
}));
process.exit(0);
