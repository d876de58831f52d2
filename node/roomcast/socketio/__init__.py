"""Socket.IO, protocol revision 5, without I/O: packets and their two encodings, attachments, acknowledgements."""
