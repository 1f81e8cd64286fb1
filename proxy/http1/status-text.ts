/** Reason phrases of the answers that the proxy makes itself (RFC 9110 section 15, RFC 6585). */
export const STATUS_TEXT: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  408: "Request Timeout",
  414: "URI Too Long",
  421: "Misdirected Request",
  424: "Failed Dependency",
  431: "Request Header Fields Too Large",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  505: "HTTP Version Not Supported",
  508: "Loop Detected",
};
