// How surprised llama.cpp is by a text, for `benches/llm.rs --perplexity`; see llama.mjs for packages.
//
//   node perplexity.mjs MODEL.gguf THREADS TEXT
import {readFileSync} from "node:fs";
import {getLlama, LlamaLogLevel} from "node-llama-cpp";

const [path, threads, file] = process.argv.slice(2);
const llama = await getLlama({build: "never", gpu: false, maxThreads: Number(threads), logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath: path});
const context = await model.createContext({contextSize: 4096, batchSize: 512, threads: Number(threads)});
// What the model's own template makes of a user who says "Go on.".
const system = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";
const prompt = model.tokenize(
    `<|im_start|>system\n${system}<|im_end|>\n<|im_start|>user\nGo on.<|im_end|>\n<|im_start|>assistant\n`,
    true,
);
const text = model.tokenize(readFileSync(file, "utf8"));
const sequence = context.getSequence();
let sum = 0;
let next = 0;
const ask = (token) => [token, {generateNext: {logits: true}}];
const asked = [...prompt.slice(0, -1), ask(prompt.at(-1)), ...text.slice(0, -1).map(ask)];
// A few at a time: each brings the scores of the whole vocabulary.
for (let at = 0; at < asked.length; at += 8) {
    await sequence.controlledEvaluate(asked.slice(at, at + 8), {
        onTokenResult(_, {next: {logits}}) {
            let most = -Infinity;
            for (const logit of logits.values()) most = Math.max(most, logit);
            let total = 0;
            for (const logit of logits.values()) total += Math.exp(logit - most);
            sum += logits.get(text[next]) - most - Math.log(total);
            next += 1;
        },
    });
}
console.log(`perplexity ${Math.exp(-sum / next).toFixed(4)} of ${next} tokens`);
process.exit(0);
