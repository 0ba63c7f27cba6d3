/** What is expected where a server's address is asked for. */
export const SERVER_ADDRESS = "the address of a server, such as http://127.0.0.1:8000";

/** Whether requests can be sent there: `localhost:8000` lacks its `http://`. */
export function isServerAddress(url: string): boolean {
  return URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
}
