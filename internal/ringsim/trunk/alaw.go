package trunk

// ulawToAlaw transcodes through the linear value (ITU-T G.711).
var ulawToAlaw = makeUlawToAlaw()

func makeUlawToAlaw() (table [256]byte) {
	for i := range table {
		table[i] = alawOctet(ulawValue(byte(i)))
	}
	return table
}

// ulawValue is the linear value of a u-law octet, in 16 bits.
func ulawValue(o byte) int {
	o = ^o
	v := (int(o&0x0F)<<3+0x84)<<(o>>4&7) - 0x84
	if o&0x80 != 0 {
		return -v
	}
	return v
}

// alawOctet is the A-law octet nearest below a linear value of 16 bits.
func alawOctet(v int) byte {
	mask := byte(0xD5)
	if v < 0 {
		mask = 0x55
		v = -v - 1
	}
	v = min(v, 32767) >> 4
	segment := byte(0)
	for v>>segment > 31 {
		segment++
	}
	o := byte(v) & 0x0F
	if v > 15 {
		segment++
		o = byte(v>>(segment-1)) & 0x0F
	}
	return (segment<<4 | o) ^ mask
}
