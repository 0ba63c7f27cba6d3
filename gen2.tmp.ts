import { LocalModel } from "./src/engine/local/local-model.ts";
const m=await LocalModel.open(process.argv[2]!,{}); const s=await m.sampler();
const run=async(name:string,f:()=>Promise<any>)=>{const t=performance.now(); const r=(await f()).flat(); const n=r.reduce((a:number,{tokens}:any)=>a+tokens.length,0); const d=(performance.now()-t)/1000; console.log(name,d.toFixed(2),"s",n,"tokens",(n/d).toFixed(0),"tok/s"); return n/d};
const P=(n:number)=>Array.from({length:n},(_,i)=>Int32Array.of(1,5,7,i%50));
for(let k=0;k<3;k++){
const a=await run("one of 64",()=>s.sample(P(64),{max_tokens:64,seed:1}));
const b=await run("64 of one",()=>Promise.all(P(64).map((p,i)=>s.sample([p],{max_tokens:64,seed:i}))));
console.log((b/a).toFixed(2));}
