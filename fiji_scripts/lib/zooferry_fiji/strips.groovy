import groovy.transform.CompileStatic

/** How many bytes the compressed strips of a TIFF file unpack to (TIFF 6.0, sections 9 and 13); nothing is unpacked. */
@CompileStatic
class Strips {
    private static final int CLEAR = 256
    private static final int END = 257

    /** Bytes of a strip compressed with LZW, counted up to `wanted`; -1 if it holds a code that cannot stand there. */
    public static long lzw(byte[] content, long wanted) {
        int[] lengths = new int[4097]
        for (int i = 0; i < CLEAR; i++) lengths[i] = 1
        long total = 0, place = 0, last = 8L * content.length
        int width = 9, next = 258, before = -1
        while (total < wanted && place + width <= last) {
            int code = bits(content, place, width)
            place += width
            if (code == END) break
            if (code == CLEAR) {
                width = 9
                next = 258
                before = -1
                continue
            }
            if (code > next || (before < 0 && code >= CLEAR) || (code == next && next > 4095)) return -1
            if (before >= 0 && next < 4096) {
                lengths[next] = lengths[before] + 1
                next++
                if (next == (1 << width) - 1 && width < 12) width++
            }
            total += lengths[code]
            before = code
        }
        return total
    }

    private static int bits(byte[] content, long place, int width) {
        int first = (int) (place >> 3)
        int three = (content[first] & 0xff) << 16
        if (first + 1 < content.length) three |= (content[first + 1] & 0xff) << 8
        if (first + 2 < content.length) three |= content[first + 2] & 0xff
        return (three >> (24 - width - (int) (place & 7))) & ((1 << width) - 1)
    }

    /** Bytes of a strip compressed with PackBits, counted up to `wanted`. */
    public static long packBits(byte[] content, long wanted) {
        long total = 0
        int place = 0
        while (total < wanted && place < content.length) {
            int head = content[place]
            if (head >= 0) {
                total += Math.min(head + 1, content.length - place - 1)
                place += head + 2
            } else {
                if (head > -128 && place + 1 < content.length) total += 1 - head
                place += head > -128 ? 2 : 1
            }
        }
        return total
    }
}
