import { LocalModel } from "./src/engine/local/local-model.ts";
const m=await LocalModel.open(".models/SmolLM2-135M-Instruct",{}); const s=await m.sampler();
const P=Array.from({length:200},()=>Int32Array.of(1));
const t=performance.now(); const r=await s.sample(P,{max_tokens:64,seed:1}); const n=r.reduce((a,{tokens})=>a+tokens.length,0);
console.log("200x64",((performance.now()-t)/1000).toFixed(1),"s",n,"tokens", (n/((performance.now()-t)/1000)).toFixed(0),"tok/s");
