/**
 * Longest path that the kernel takes in `sockaddr_un`, in bytes, without its closing zero
 * (unix(7)).
 */
export const maxUnixPathBytes = 107;
