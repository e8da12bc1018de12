/**
 * A program of its own: reads ranges of a URL by undici's `dispatch` and throws the bytes away. The most that Node can get out of an origin
 * this way, as a yardstick.
 *
 * Arguments: URL, total bytes, range bytes, ranges in flight. Prints one line of JSON: bytes, seconds, cpuSeconds.
 */
import { Agent } from 'undici';

const [url = '', sizeText, rangeText, inFlightText] = process.argv.slice(2);
const sizeBytes = Number(sizeText);
const rangeBytes = Number(rangeText);
const { origin, pathname } = new URL(url);
const agent = new Agent({ connections: Number(inFlightText), pipelining: 1 });

function fetchRange(offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    let status = 0;
    agent.dispatch(
      { origin, path: pathname, method: 'GET', headers: { range: `bytes=${offset}-${offset + rangeBytes - 1}` } },
      {
        onRequestStart() {},
        onResponseStart(_controller, statusCode) {
          status = statusCode;
        },
        onResponseData(_controller, piece) {
          bytes += piece.length;
        },
        onResponseEnd() {
          if (status === 206 && bytes === rangeBytes) resolve(bytes);
          else reject(new Error(`${url} at ${offset}: status ${status}, ${bytes} bytes`));
        },
        onResponseError(_controller, error) {
          reject(error);
        },
      },
    );
  });
}

let next = 0;
let bytes = 0;
async function lane(): Promise<void> {
  while (next < sizeBytes) {
    const offset = next;
    next += rangeBytes;
    const got = await fetchRange(offset); // not `bytes += await …`, which adds to what `bytes` was before the wait
    bytes += got;
  }
}

const beforeCpu = process.cpuUsage();
const startMs = performance.now();
await Promise.all(Array.from({ length: Number(inFlightText) }, lane));
const seconds = (performance.now() - startMs) / 1000;
const cpu = process.cpuUsage(beforeCpu);
await agent.close();
console.log(JSON.stringify({ bytes, seconds, cpuSeconds: (cpu.user + cpu.system) / 1e6 }));
